#include "client/retry.h"

#include <algorithm>
#include <cmath>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "common/error.h"

namespace attune::client {

namespace {

// Whether the same call may succeed a little later. Without a worker it will
// not: the server has waited for one before it said so.
bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) && ErrorReason(status) != "NO_WORKER";
}

}  // namespace

absl::Duration RetryDelay(const RetryPolicy& policy, int attempt) {
  const double factor = std::ldexp(1.0, std::min(attempt - 1, 30));
  return std::min(policy.first_delay * factor, policy.max_delay);
}

absl::Status RetryUnavailable(const RetryPolicy& policy, absl::Time deadline,
                              const std::function<absl::Status()>& attempt) {
  absl::BitGen random;
  for (int tries = 1;; ++tries) {
    const absl::Status status = attempt();
    if (!IsTransient(status) || tries >= policy.max_attempts) return status;
    absl::Duration delay =
        RetryDelay(policy, tries) * absl::Uniform(random, 0.8, 1.2);
    if (auto asked = ErrorRetryDelay(status)) delay = std::max(delay, *asked);
    if (absl::Now() + delay >= deadline) return status;
    if (policy.sleep) {
      policy.sleep(delay);
    } else {
      absl::SleepFor(delay);
    }
  }
}

}  // namespace attune::client
