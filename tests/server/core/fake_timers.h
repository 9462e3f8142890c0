#ifndef ATTUNE_TESTS_SERVER_CORE_FAKE_TIMERS_H_
#define ATTUNE_TESTS_SERVER_CORE_FAKE_TIMERS_H_

#include <map>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/core/timers.h"

namespace attune::core {

// Timers that fire when a test moves the clock, on its thread.
class FakeTimers : public Timers {
 public:
  explicit FakeTimers(FakeClock& clock) : clock_(clock) {}

  void After(absl::Duration delay,
             absl::AnyInvocable<void()> callback) override {
    callbacks_.emplace(clock_.MonotonicNow() + delay, std::move(callback));
  }

  // Moves the clock by `duration`, stopping at each callback that is due.
  void Advance(absl::Duration duration) {
    const absl::Duration end = clock_.MonotonicNow() + duration;
    while (!callbacks_.empty() && callbacks_.begin()->first <= end) {
      auto entry = callbacks_.extract(callbacks_.begin());
      if (entry.key() > clock_.MonotonicNow()) {
        clock_.Advance(entry.key() - clock_.MonotonicNow());
      }
      entry.mapped()();
    }
    clock_.Advance(end - clock_.MonotonicNow());
  }

  size_t pending() const { return callbacks_.size(); }

 private:
  FakeClock& clock_;
  std::multimap<absl::Duration, absl::AnyInvocable<void()>> callbacks_;
};

}  // namespace attune::core

#endif  // ATTUNE_TESTS_SERVER_CORE_FAKE_TIMERS_H_
