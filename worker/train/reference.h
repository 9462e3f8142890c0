// π_ref: what the model that training started from says of the run's images.

#ifndef ATTUNE_WORKER_TRAIN_REFERENCE_H_
#define ATTUNE_WORKER_TRAIN_REFERENCE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/model/clip.h"
#include "worker/train/encoder.h"
#include "worker/train/training_data.h"

namespace attune::train {

// Logits of the reference, from embeddings that the encoder computes once:
// π_ref does not change, and its embeddings serve every epoch and list of
// texts. Not thread-safe.
class Reference {
 public:
  // `data` and `encoder` must outlive this; `tensors` are the encoder's base,
  // `clean_images` the images of CleanStream's entries. Without `cache`, every
  // call computes anew.
  Reference(const TrainingData* data, Encoder* encoder,
            const model::Tensors& tensors, std::vector<int64_t> clean_images,
            bool cache);
  Reference(const Reference&) = delete;

  // [B, C] of the pairs' images against the texts, without gradient. Errors
  // are those of the encoder.
  absl::StatusOr<at::Tensor> PairLogits(absl::Span<const int64_t> pairs,
                                        absl::Span<const int64_t> texts);

  // [B, C] of clean images, given as entries of CleanStream.
  absl::StatusOr<at::Tensor> CleanLogits(absl::Span<const int64_t> clean,
                                         absl::Span<const int64_t> texts);

 private:
  absl::StatusOr<at::Tensor> Logits(const std::vector<int64_t>& images,
                                    absl::Span<const int64_t> texts);

  const TrainingData* data_;
  Encoder* encoder_;
  model::Tensors tensors_;
  std::vector<int64_t> clean_images_;
  bool cache_;
  // s [].
  at::Tensor scale_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_REFERENCE_H_
