// What core and services report to whoever keeps the figures. Prometheus is
// behind it (server/metrics); tests use the base class, which keeps nothing.

#ifndef ATTUNE_SERVER_CORE_METRICS_H_
#define ATTUNE_SERVER_CORE_METRICS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/records.h"

namespace attune::core {

// Every function is thread-safe and cheap enough for a callback. Figures that
// are states rather than events (jobs by state, workers, queue depth, losses)
// are read when they are scraped: server/metrics asks for them.
class Metrics {
 public:
  virtual ~Metrics() = default;

  // A call ended. `code` is the canonical name, such as "NOT_FOUND".
  virtual void CallEnded(absl::string_view /*service*/,
                         absl::string_view /*method*/,
                         absl::string_view /*code*/,
                         absl::Duration /*duration*/) {}

  virtual void JobMoved(storage::JobState /*from*/, storage::JobState /*to*/) {}
  // A task was leased after this time in the queue.
  virtual void TaskLeased(absl::Duration /*queued*/) {}
  virtual void LeaseExpired() {}
  // A worker could not go on from so many checkpoints.
  virtual void CheckpointsUnusable(int64_t /*count*/) {}
  // Optimizer steps and examples that a report added.
  virtual void TrainProgress(int64_t /*steps*/, int64_t /*examples*/) {}

  // A batch of so many items was sent to a worker.
  virtual void BatchSent(int64_t /*items*/) {}
  // An item left the queue for a batch.
  virtual void ItemQueued(absl::Duration /*queued*/) {}
  virtual void BatchAnswered(absl::string_view /*device*/,
                             absl::Duration /*forward_time*/) {}
  // An item was refused or dropped; `reason` is one of a few constants.
  virtual void InferenceRejected(absl::string_view /*reason*/,
                                 int64_t /*items*/) {}
  virtual void TextCacheLookups(int64_t /*hits*/, int64_t /*misses*/) {}

  // Keeps nothing.
  static Metrics& None();
};

inline Metrics& Metrics::None() {
  static Metrics none;
  return none;
}

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_METRICS_H_
