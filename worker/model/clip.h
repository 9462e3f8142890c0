// CLIP as functions over named tensors (docs/architecture.md): a config says
// the shape, the tensors have OpenAI's names (common/safetensors/clip_layout.h)
// and nothing else is a model. Autograd works through every function, so a
// tensor that requires a gradient gets one and a frozen one costs nothing.
//
// Radford et al. 2021, https://arxiv.org/abs/2103.00020, section 2.4.
//
// Symbols: B images, N texts, T tokens of a sequence, W width, D embedding.
// Thread-safe for different calls on the same tensors as long as nobody
// writes them. How many threads compute is the caller's matter
// (at::set_num_threads).

#ifndef ATTUNE_WORKER_MODEL_CLIP_H_
#define ATTUNE_WORKER_MODEL_CLIP_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "common/safetensors/clip_layout.h"
#include "worker/model/text_batch.h"

namespace attune::model {

// Name → tensor. Copying shares the storage.
using Tensors = std::map<std::string, at::Tensor>;

// How to compute. The savings are exact up to rounding, and on but in tests.
struct EncodeOptions {
  // Compute the last block's query, projection and MLP only for the token
  // that is read out; keys and values are needed for all.
  bool readout_only = true;
  // QuickGELU in one pass each way instead of stock operators.
  bool fused_quick_gelu = true;
  // The patch embedding as one matrix product instead of a convolution.
  bool patches_as_product = true;
  // Not exact: patches and blocks take their matrix products in bf16
  // (bf16_products.h). What goes from block to block, layer norms and the last
  // projection stay fp32, and so does the result.
  bool bf16_products = false;
};

// Image embeddings [B, D], not normalised.
//
// `pixels` is uint8 [B, S, S, 3] with S = config.image_size, which is scaled
// to [0, 1] and normalised here, or floating [B, 3, S, S], already
// normalised. They lie on the tensors' device.
// REQUIRES: the tensors of ExpectedTensors(config) under "visual.".
at::Tensor EncodeImages(const ClipConfig& config, const Tensors& tensors,
                        const at::Tensor& pixels,
                        const EncodeOptions& options = {});

// Text embeddings [N, D], not normalised, in the order of the texts that
// `batch` was made of. The batch lies on the tensors' device.
// REQUIRES: the tensors of ExpectedTensors(config) other than "visual.".
at::Tensor EncodeTexts(const ClipConfig& config, const Tensors& tensors,
                       const TextBatch& batch,
                       const EncodeOptions& options = {});

// The towers cut in two, for a frozen beginning whose output is kept: states
// after the first `blocks` residual blocks, 0 for what enters the first one,
// and the embeddings from there. The Encode functions are one after the other.
//
// [B, T, W] for images, [R, W] for the rows of a text batch.
at::Tensor ImageStates(const ClipConfig& config, const Tensors& tensors,
                       const at::Tensor& pixels, int blocks,
                       const EncodeOptions& options = {});
at::Tensor ImagesFromStates(const ClipConfig& config, const Tensors& tensors,
                            const at::Tensor& states, int blocks,
                            const EncodeOptions& options = {});
at::Tensor TextStates(const ClipConfig& config, const Tensors& tensors,
                      const TextBatch& batch, int blocks,
                      const EncodeOptions& options = {});
// REQUIRES: a batch that is not empty, for both.
at::Tensor TextsFromStates(const ClipConfig& config, const Tensors& tensors,
                           const TextBatch& batch, const at::Tensor& states,
                           int blocks, const EncodeOptions& options = {});

// x / |x| along the last dimension: f(x) and g(y) of docs/method.md.
at::Tensor Normalised(const at::Tensor& embeddings);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_CLIP_H_
