// Trying again while the server cannot be reached.

#ifndef ATTUNE_WORKER_TRANSPORT_RETRY_H_
#define ATTUNE_WORKER_TRANSPORT_RETRY_H_

#include <functional>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "worker/transport/stop_signal.h"

namespace attune::transport {

// Growing delays between attempts: 0.2 s, then 1.6 times the one before, at
// most 5 s, each shortened by up to a quarter at random so that many workers
// do not come back together. Not thread-safe.
class BackOff {
 public:
  absl::Duration Next();
  void Reset();

 private:
  absl::BitGen random_;
  absl::Duration base_ = absl::ZeroDuration();
};

// Whether the same call may succeed later: UNAVAILABLE, or a deadline that a
// slow server or network let pass.
bool IsTransient(const absl::Status& status);

// Whether the server gave the task to somebody else, or ended it.
bool IsLeaseLost(const absl::Status& status);

// Calls `attempt` until it ends with anything but a transient error, or
// `give_up_after` has passed since the first failure, or `stop` is signalled.
// Logs the first failure, then one a minute, and the recovery; `what` names
// the call. Every call of a worker may be repeated: the server applies it
// once. Returns the last answer; CANCELLED when stopped.
absl::Status Retry(StopSignal& stop, absl::string_view what,
                   const std::function<absl::Status()>& attempt,
                   absl::Duration give_up_after = absl::InfiniteDuration());

}  // namespace attune::transport

#endif  // ATTUNE_WORKER_TRANSPORT_RETRY_H_
