// The residual attention blocks that both towers are made of.
//
// Symbols: R rows (tokens of all sequences), Q rows that are read out, W
// width. Thread-safe as clip.h is.

#ifndef ATTUNE_WORKER_MODEL_TRANSFORMER_H_
#define ATTUNE_WORKER_MODEL_TRANSFORMER_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"

namespace attune::model {

// How the rows of a tower's sequences attend to each other, and which rows
// are read out.
struct Sequences {
  // Query [Q, W], key and value [R, W] of all R rows → [Q, W]. Q is R, or
  // with `readout` the rows that are read out.
  std::function<at::Tensor(const at::Tensor& query, const at::Tensor& key,
                           const at::Tensor& value, bool readout)>
      attend;
  // [R, W] → the rows that are read out.
  std::function<at::Tensor(const at::Tensor& rows)> pick;
};

// A tower's blocks: those of `tensors` that are called PREFIX + number.
struct Blocks {
  const Tensors& tensors;
  absl::string_view prefix;
  int count;
  Activation activation;
  const EncodeOptions& options;
};

at::Tensor LayerNorm(const at::Tensor& x, const Tensors& tensors,
                     const std::string& name);

// x [R, W] through the blocks [0, end).
at::Tensor RunBlocks(at::Tensor x, const Blocks& blocks, int end,
                     const Sequences& sequences);

// x [R, W], which the blocks before `begin` made, through the rest → the rows
// that are read out, [Q, W].
at::Tensor ReadoutOfBlocks(at::Tensor x, const Blocks& blocks, int begin,
                           const Sequences& sequences);

// Scaled dot-product attention over `batch` sequences of equal length.
// query [B·Q, W], key and value [B·T, W] → [B·Q, W]. `mask` is added to the
// scores.
at::Tensor Attend(const at::Tensor& query, const at::Tensor& key,
                  const at::Tensor& value, int64_t batch, int64_t heads,
                  const std::optional<at::Tensor>& mask);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_TRANSFORMER_H_
