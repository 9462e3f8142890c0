#ifndef ATTUNE_WORKER_TASK_CHECKPOINT_SCHEDULE_H_
#define ATTUNE_WORKER_TASK_CHECKPOINT_SCHEDULE_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace attune::task {

// When a run stores checkpoints. Not thread-safe.
class CheckpointSchedule {
 public:
  // Steps between checkpoints, exactly; without it at the end of every epoch,
  // but not sooner than kMinInterval after the one before: tiny epochs would
  // spend their time on storing.
  static constexpr absl::Duration kMinInterval = absl::Seconds(15);
  // A checkpoint that is no older is good enough for a worker that stops.
  static constexpr absl::Duration kRecent = absl::Seconds(5);

  // `max_interval`: at least so often, whatever the steps. `step` and `now` are
  // those of the start.
  CheckpointSchedule(std::optional<int64_t> every, int64_t steps_per_epoch,
                     absl::Duration max_interval, int64_t step,
                     absl::Duration now)
      : every_(every),
        steps_per_epoch_(steps_per_epoch),
        max_interval_(max_interval),
        saved_step_(step),
        saved_at_(now) {}

  // Whether to store one after `step`; `idle`: the one before is stored.
  bool Due(int64_t step, absl::Duration now, bool idle) const {
    if (now - saved_at_ >= max_interval_) return true;
    if (every_.has_value()) return step % *every_ == 0;
    return idle && step % steps_per_epoch_ == 0 &&
           now - saved_at_ >= kMinInterval;
  }

  // Whether a worker that stops after `step` should store one.
  bool DueAtStop(int64_t step, absl::Duration now) const {
    return step != saved_step_ && (!saved_ || now - saved_at_ > kRecent);
  }

  void Saved(int64_t step, absl::Duration now) {
    saved_ = true;
    saved_step_ = step;
    saved_at_ = now;
  }

 private:
  std::optional<int64_t> every_;
  int64_t steps_per_epoch_;
  absl::Duration max_interval_;
  int64_t saved_step_;
  // Monotonic; the start, before the first.
  absl::Duration saved_at_;
  bool saved_ = false;
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_CHECKPOINT_SCHEDULE_H_
