#ifndef ATTUNE_CLIENT_RETRY_H_
#define ATTUNE_CLIENT_RETRY_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace attune::client {

// How often and how soon a call is tried again.
struct RetryPolicy {
  // Tries in all; 1 for no second one.
  int max_attempts = 5;
  // Before the second try; doubled before each further one, with ±20 % jitter.
  absl::Duration first_delay = absl::Milliseconds(200);
  absl::Duration max_delay = absl::Seconds(5);
  // Waits; a test puts something else here.
  std::function<void(absl::Duration)> sleep;
};

// Runs `attempt` until it succeeds, fails with something else than
// UNAVAILABLE, or the policy or the deadline ends it; returns its last status.
// UNAVAILABLE with reason NO_WORKER is final too: only a person can start one.
// A delay that the error asks for (RetryInfo) is respected.
// REQUIRES: running `attempt` twice has the effect of running it once.
absl::Status RetryUnavailable(const RetryPolicy& policy, absl::Time deadline,
                              const std::function<absl::Status()>& attempt);

// The wait before try number `attempt` + 1, without jitter. `attempt` counts
// from 1.
absl::Duration RetryDelay(const RetryPolicy& policy, int attempt);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_RETRY_H_
