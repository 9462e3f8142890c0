// Indices of a run's images and texts in, normalised embeddings out.

#ifndef ATTUNE_WORKER_TRAIN_ENCODER_H_
#define ATTUNE_WORKER_TRAIN_ENCODER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"
#include "worker/train/embedding_cache.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

namespace attune::train {

// Not thread-safe.
class Encoder {
 public:
  // `texts` and `pixels` must outlive the encoder.
  Encoder(const ClipConfig& config, const Savings& savings, at::Device device,
          const std::vector<std::vector<int32_t>>* texts, PixelSource* pixels);
  Encoder(const Encoder&) = delete;

  // Both towers are those of `base`, whatever tensors are passed in: from now
  // on every embedding is computed once. `images`: all that will be asked for,
  // each once.
  void Freeze(const model::Tensors& base, std::vector<int64_t> images);

  // f(x) [n, D] of the images through `tensors`; differentiable in them.
  absl::StatusOr<at::Tensor> Images(const model::Tensors& tensors,
                                    absl::Span<const int64_t> images);

  // g(y) [n, D] of the texts, the same way.
  absl::StatusOr<at::Tensor> Texts(const model::Tensors& tensors,
                                   absl::Span<const int64_t> texts);

  at::Device device() const { return device_; }

 private:
  absl::StatusOr<at::Tensor> Encode(const model::Tensors& tensors,
                                    absl::Span<const int64_t> images);
  absl::StatusOr<at::Tensor> EncodeTexts(const model::Tensors& tensors,
                                         absl::Span<const int64_t> texts);

  ClipConfig config_;
  bool share_prefixes_;
  model::EncodeOptions options_;
  at::Device device_;
  const std::vector<std::vector<int32_t>>* texts_;
  PixelSource* pixels_;
  // The batch packed last: a fixed list of candidates is packed once.
  std::vector<int64_t> packed_texts_;
  model::TextBatch packed_;
  // Set where both towers are frozen.
  std::optional<EmbeddingCache> frozen_images_;
  std::optional<EmbeddingCache> frozen_texts_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_ENCODER_H_
