#include "worker/transport/retry.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>

#include "common/clock.h"
#include "common/error.h"

namespace attune::transport {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(200);
constexpr absl::Duration kLongestDelay = absl::Seconds(5);
constexpr double kGrowth = 1.6;
constexpr absl::Duration kLogInterval = absl::Minutes(1);

}  // namespace

absl::Duration BackOff::Next() {
  base_ = base_ == absl::ZeroDuration()
              ? kFirstDelay
              : std::min(base_ * kGrowth, kLongestDelay);
  return base_ * absl::Uniform(random_, 0.75, 1.0);
}

void BackOff::Reset() { base_ = absl::ZeroDuration(); }

bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

bool IsLeaseLost(const absl::Status& status) {
  return ErrorReason(status) == "LEASE_LOST";
}

absl::Status Retry(StopSignal& stop, absl::string_view what,
                   const std::function<absl::Status()>& attempt,
                   absl::Duration give_up_after) {
  const Clock& clock = Clock::Real();
  BackOff back_off;
  absl::Duration first_failure = absl::InfiniteDuration();
  absl::Duration next_log = -absl::InfiniteDuration();
  while (true) {
    const absl::Status status = attempt();
    if (stop.stopped() && !status.ok()) {
      return absl::CancelledError("the worker stops");
    }
    const absl::Duration now = clock.MonotonicNow();
    if (!IsTransient(status)) {
      if (first_failure < now && status.ok()) {
        spdlog::info("{}: works again", std::string(what));
      }
      return status;
    }
    first_failure = std::min(first_failure, now);
    if (now - first_failure >= give_up_after) return status;
    if (now >= next_log) {
      spdlog::warn("{}: {}; trying again", std::string(what),
                   std::string(status.message()));
      next_log = now + kLogInterval;
    }
    if (stop.WaitFor(back_off.Next())) {
      return absl::CancelledError("the worker stops");
    }
  }
}

}  // namespace attune::transport
