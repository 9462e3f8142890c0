#ifndef ATTUNE_COMMON_CLOCK_H_
#define ATTUNE_COMMON_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attune {

// The two clocks: wall time is for display and for records, monotonic time
// decides (leases, deadlines), so that setting the wall clock changes nothing.
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time WallNow() const = 0;
  // Time since an arbitrary moment; never goes back.
  virtual absl::Duration MonotonicNow() const = 0;

  // The operating system's clocks.
  static Clock& Real();
};

// A clock that moves only when a test says so. Thread-safe.
class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time wall = absl::FromUnixSeconds(1'700'000'000));
  absl::Time WallNow() const override;
  absl::Duration MonotonicNow() const override;

  // Moves both clocks forward.
  void Advance(absl::Duration duration);
  // Sets wall time alone, as an administrator may.
  void SetWall(absl::Time wall);

 private:
  mutable absl::Mutex mutex_;
  absl::Time wall_ ABSL_GUARDED_BY(mutex_);
  absl::Duration monotonic_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune

#endif  // ATTUNE_COMMON_CLOCK_H_
