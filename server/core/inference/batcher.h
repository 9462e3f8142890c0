#ifndef ATTUNE_SERVER_CORE_INFERENCE_BATCHER_H_
#define ATTUNE_SERVER_CORE_INFERENCE_BATCHER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/inference/inference.h"

namespace attune::core {

struct BatcherOptions {
  // How long the first input of a batch waits for others.
  absl::Duration max_delay = absl::Milliseconds(3);
  // Inputs that may wait, over all versions. A call that finds no room is
  // refused whole.
  int64_t max_queued_images = 4096;
  int64_t max_queued_texts = 100'000;
  // And their bytes.
  int64_t max_queued_bytes = int64_t{256} << 20;
  // Texts in a batch; a worker names its own number of images.
  int64_t text_batch_size = 128;
  // Bytes in a batch, so that it fits a message; a larger input goes alone.
  int64_t max_batch_bytes = int64_t{24} << 20;
};

// The inputs that wait, a queue for each version and kind, from which batches
// are cut across callers. Time is given by the caller. Not thread-safe.
class Batcher {
 public:
  // Which queue.
  struct Key {
    std::string version_digest;
    InputKind kind;

    friend auto operator<=>(const Key&, const Key&) = default;
  };

  explicit Batcher(const BatcherOptions& options) : options_(options) {}

  // Appends the inputs of a group. RESOURCE_EXHAUSTED, reason QUEUE_FULL with
  // a delay, when there is no room; a group that is larger than a queue may
  // wait alone.
  absl::Status Add(const std::shared_ptr<InferenceGroup>& group,
                   std::vector<InferenceInput> inputs, absl::Duration now);

  // Puts items that a worker did not answer back in front.
  void Requeue(std::vector<InferenceItem> items);

  // Forgets the waiting inputs of a group.
  void Remove(const InferenceGroup& group);

  // Whether a batch for a worker with this preference should go now: it is
  // full, or its first input has waited for max_delay. False when empty.
  bool Ready(const Key& key, int preferred_batch_size,
             absl::Duration now) const;

  // The next batch, without an id. REQUIRES: the queue is not empty.
  InferenceBatch Cut(const Key& key, int preferred_batch_size);

  // The queues that are not empty, with the time since when their first input
  // waits.
  std::vector<std::pair<Key, absl::Duration>> Heads() const;
  // The version of a queue. REQUIRES: the queue is not empty.
  const std::shared_ptr<const ServedVersion>& Version(const Key& key) const;

  // Inputs that wait.
  int64_t depth() const { return images_ + texts_; }

 private:
  int64_t BatchSize(InputKind kind, int preferred_batch_size) const;
  void Count(const InferenceItem& item, int sign);

  BatcherOptions options_;
  std::map<Key, std::deque<InferenceItem>> queues_;  // none empty
  int64_t images_ = 0;
  int64_t texts_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_BATCHER_H_
