// Which examples a step sees: a function of (seed, stream, step) and nothing
// else, so that a resumed run goes on where it stopped.

#ifndef ATTUNE_WORKER_TRAIN_DATA_ORDER_H_
#define ATTUNE_WORKER_TRAIN_DATA_ORDER_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace attune::train {

// A permutation of 0 … count − 1 for one epoch of one stream; different
// streams of a run have independent orders.
std::vector<int64_t> Permutation(uint64_t seed, uint64_t stream, int64_t epoch,
                                 int64_t count);

// The batches of one stream. Every epoch is a new permutation cut into whole
// batches; its short last batch is dropped. Not thread-safe.
class DataOrder {
 public:
  // `batch_size` is clipped to `count`. REQUIRES: count > 0, batch_size > 0.
  DataOrder(uint64_t seed, uint64_t stream, int64_t count, int64_t batch_size);

  int64_t batch_size() const { return batch_size_; }
  int64_t steps_per_epoch() const { return count_ / batch_size_; }

  // The batch_size() examples of step `step` (from 0); valid until the next
  // call.
  absl::Span<const int64_t> Batch(int64_t step);

  // All examples in the order of the first epoch, those of its dropped batch
  // last.
  std::vector<int64_t> FirstEpoch() const;

 private:
  uint64_t seed_;
  uint64_t stream_;
  int64_t count_;
  int64_t batch_size_;
  // The permutation of epoch_, −1 before the first.
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_DATA_ORDER_H_
