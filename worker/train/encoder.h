// Indices of a run's images and texts in, normalised embeddings out.

#ifndef ATTUNE_WORKER_TRAIN_ENCODER_H_
#define ATTUNE_WORKER_TRAIN_ENCODER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"
#include "worker/objective/objective.h"
#include "worker/train/embedding_cache.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

namespace attune::train {

// What is frozen is computed once, without gradient, and serves every set of
// tensors that is passed in: the embeddings of a frozen tower, the states
// after the frozen beginning of one. Not thread-safe.
class Encoder {
 public:
  // `base` holds the frozen tensors. `data` and `pixels` must outlive the
  // encoder.
  Encoder(const ClipConfig& clip, const TrainConfig& config,
          const objective::Objective& objective, const model::Tensors& base,
          const TrainingData* data, PixelSource* pixels);
  Encoder(const Encoder&) = delete;

  // f(x) [n, D] of the images through `tensors`; differentiable in them.
  // REQUIRES: tensors that differ from the base only in what is trained.
  absl::StatusOr<at::Tensor> Images(const model::Tensors& tensors,
                                    absl::Span<const int64_t> images);

  // g(y) [n, D] of the texts, the same way.
  absl::StatusOr<at::Tensor> Texts(const model::Tensors& tensors,
                                   absl::Span<const int64_t> texts);

  // Those of the base, without gradient, each computed once and kept.
  // REQUIRES: images and texts that the config's reference or a frozen tower
  // needs.
  absl::StatusOr<at::Tensor> BaseImages(absl::Span<const int64_t> images);
  absl::StatusOr<at::Tensor> BaseTexts(absl::Span<const int64_t> texts);

  // What BaseImages has computed, without data.known_embeddings.
  EmbeddingRows ComputedImages() const { return base_images_.Computed(); }

  at::Device device() const { return device_; }

  // Called whenever a group of images or texts is about to be computed: what
  // was before it is done.
  void SetWorkListener(std::function<void()> worked) {
    worked_ = std::move(worked);
  }

 private:
  // Packs the texts unless they are those of the last call.
  absl::Status Pack(absl::Span<const int64_t> texts);
  // Through what is trained, from the states after what is frozen.
  absl::StatusOr<at::Tensor> EncodeImages(const model::Tensors& tensors,
                                          absl::Span<const int64_t> images);
  absl::StatusOr<at::Tensor> EncodeTexts(const model::Tensors& tensors,
                                         absl::Span<const int64_t> texts);
  // [n, T, W] after a frozen beginning.
  absl::StatusOr<at::Tensor> ImageStates(absl::Span<const int64_t> images);
  absl::StatusOr<at::Tensor> TextStates(absl::Span<const int64_t> texts);

  ClipConfig clip_;
  bool share_prefixes_;
  model::EncodeOptions options_;
  at::Device device_;
  // Nothing where the savings leave the caches out.
  FrozenBeginning frozen_images_;
  FrozenBeginning frozen_texts_;
  model::Tensors base_;
  const TrainingData* data_;
  PixelSource* pixels_;
  // Tokens of the longest text.
  int64_t longest_text_;
  EmbeddingCache base_images_;
  EmbeddingCache base_texts_;
  EmbeddingCache image_states_;
  EmbeddingCache text_states_;
  std::function<void()> worked_ = [] {};
  // The batch packed last: a fixed list of candidates is packed once.
  std::vector<int64_t> packed_texts_;
  model::TextBatch packed_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_ENCODER_H_
