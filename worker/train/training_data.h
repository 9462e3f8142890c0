// What a run trains on. Images and texts are named by their index.

#ifndef ATTUNE_WORKER_TRAIN_TRAINING_DATA_H_
#define ATTUNE_WORKER_TRAIN_TRAINING_DATA_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/objective/positives.h"
#include "worker/train/embedding_cache.h"

namespace attune::train {

// Where decoded images come from.
class PixelSource {
 public:
  virtual ~PixelSource() = default;

  // The images as uint8 [n, S, S, 3] on the CPU, in that order; an index may
  // occur twice. Called by one thread at a time. Errors end the run as they
  // are: they should name the example.
  virtual absl::StatusOr<at::Tensor> Pixels(
      absl::Span<const int64_t> images) = 0;
};

// An image with the text that is preferred to the other.
struct PairExample {
  int64_t image = 0;
  int64_t preferred = 0;
  int64_t rejected = 0;
  // The clean twin: the same picture without what the pair is about; −1 for
  // none.
  int64_t clean_image = -1;
};

// An image with its caption.
struct CaptionExample {
  int64_t image = 0;
  int64_t caption = 0;
  objective::Attributes attributes;
  objective::Attributes caption_attributes;
};

struct TrainingData {
  // Token rows of the distinct texts, start and end included.
  std::vector<std::vector<int32_t>> texts;
  // Y: indices of texts, distinct. Used with λ > 0, and by objectives over all
  // candidates.
  std::vector<int64_t> candidates;
  // The training stream of the objectives on pairs.
  std::vector<PairExample> pairs;
  // The training stream of InfoNCE.
  std::vector<CaptionExample> captions;
  // The regularisation stream: images whose behaviour must stay, beside the
  // twins of the pairs.
  std::vector<int64_t> clean_images;
  // Normalised embeddings [n, D] of images by the base that need no computing;
  // distinct images, fp32, on the CPU.
  EmbeddingRows known_embeddings;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_TRAINING_DATA_H_
