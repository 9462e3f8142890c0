// π_ref: what the model that training started from says of the run's images.

#ifndef ATTUNE_WORKER_TRAIN_REFERENCE_H_
#define ATTUNE_WORKER_TRAIN_REFERENCE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/model/clip.h"
#include "worker/train/embedding_cache.h"
#include "worker/train/encoder.h"
#include "worker/train/training_data.h"

namespace attune::train {

// Logits of the reference, from embeddings that are computed once: π_ref does
// not change, and its embeddings serve every epoch and list of texts. Not
// thread-safe.
class Reference {
 public:
  struct Orders {
    // The entries of `pairs` and of CleanStream and the texts that will be
    // asked for, in the order of first use.
    std::vector<int64_t> pairs;
    std::vector<int64_t> clean;
    // The image of each entry of CleanStream.
    std::vector<int64_t> clean_images;
    std::vector<int64_t> texts;
  };

  // `data` and `encoder` must outlive this. `group_size`: images computed at
  // a time. Without `cache`, every call computes anew.
  Reference(const TrainingData* data, Encoder* encoder,
            const model::Tensors& tensors, Orders orders, int64_t group_size,
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
  absl::StatusOr<at::Tensor> Logits(EmbeddingCache& images,
                                    absl::Span<const int64_t> entries,
                                    absl::Span<const int64_t> texts);

  const TrainingData* data_;
  Encoder* encoder_;
  model::Tensors tensors_;
  bool cache_;
  // s [].
  at::Tensor scale_;
  EmbeddingCache pairs_;
  EmbeddingCache clean_;
  EmbeddingCache texts_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_REFERENCE_H_
