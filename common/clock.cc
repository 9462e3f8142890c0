#include "common/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace attune {
namespace {

class RealClock : public Clock {
 public:
  absl::Time WallNow() const override { return absl::Now(); }
  absl::Duration MonotonicNow() const override {
    return absl::FromChrono(
        std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace

Clock& Clock::Real() {
  static RealClock* clock = new RealClock;
  return *clock;
}

FakeClock::FakeClock(absl::Time wall) : wall_(wall) {}

absl::Time FakeClock::WallNow() const {
  absl::MutexLock lock(&mutex_);
  return wall_;
}

absl::Duration FakeClock::MonotonicNow() const {
  absl::MutexLock lock(&mutex_);
  return monotonic_;
}

void FakeClock::Advance(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  wall_ += duration;
  monotonic_ += duration;
}

void FakeClock::SetWall(absl::Time wall) {
  absl::MutexLock lock(&mutex_);
  wall_ = wall;
}

}  // namespace attune
