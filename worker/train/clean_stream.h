// Which clean images a step sees beside its training examples.

#ifndef ATTUNE_WORKER_TRAIN_CLEAN_STREAM_H_
#define ATTUNE_WORKER_TRAIN_CLEAN_STREAM_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "worker/train/data_order.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

namespace attune::train {

// Two sources. Clean examples are a stream of their own, with its own batch
// size, sampled independently of the training examples. A pair's clean twin
// comes with the pair, and once a step however many of the step's pairs are
// variants of the same picture, so that its forward is shared.
//
// Without clean examples, and with pairs that lack a twin, a step could be
// left without clean images: then the twins are the stream.
//
// Images are named by entries of images(). Not thread-safe.
class CleanStream {
 public:
  // REQUIRES: HasCleanImages(data).
  CleanStream(const TrainConfig& config, const TrainingData& data);

  // The image of every entry, by its index.
  const std::vector<int64_t>& images() const { return images_; }

  // Clean examples a step, without twins.
  int64_t batch_size() const { return order_ ? order_->batch_size() : 0; }

  // The entries of a step whose training examples are `examples`: the twins in
  // the order of the pairs, then the stream's. Never empty; no entry twice.
  std::vector<int64_t> Batch(int64_t step, absl::Span<const int64_t> examples);

  // All entries in about the order of their first use; `examples`: those of
  // the training stream, the same way.
  std::vector<int64_t> FirstUse(absl::Span<const int64_t> examples) const;

 private:
  void AddTwins(absl::Span<const int64_t> examples,
                std::vector<int64_t>* entries) const;

  std::vector<int64_t> images_;
  // The entry of each pair's twin, −1 without; empty where twins do not come
  // with their pairs.
  std::vector<int64_t> twins_;
  std::optional<DataOrder> order_;
};

// Whether there is a clean image at all.
bool HasCleanImages(const TrainingData& data);

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_CLEAN_STREAM_H_
