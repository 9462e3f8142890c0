#ifndef ATTUNE_SERVER_CORE_JOBS_JOB_MOVES_H_
#define ATTUNE_SERVER_CORE_JOBS_JOB_MOVES_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/core/jobs/job_signals.h"
#include "server/core/leases/lease_table.h"
#include "storage/state_store.h"

namespace attune::core {

// Puts a new job into the queue, with its first event, and sets its sequence.
absl::Status InsertQueued(storage::StateTransaction& transaction,
                          storage::Job& job, absl::Time now,
                          absl::string_view event = "Created and queued");

// Moves `job` to `state` and stores it, with `event` as its event and
// `status_message` in the job. Sets what the state implies: times, and no
// holder once the job is not leased; the token's hash stays with a job that
// succeeded, so that the worker may ask again for the result. Appends to
// `moves`, which the caller publishes after the commit. INTERNAL when the
// table of job_state.h does not allow the move.
absl::Status MoveJob(storage::StateTransaction& transaction, storage::Job& job,
                     storage::JobState state, absl::string_view event,
                     absl::string_view status_message, absl::Time now,
                     std::vector<JobMove>& moves);

// How an attempt ended without a result.
enum class AttemptEnd {
  kHandBack,   // the worker stopped or was asked to; no failure
  kExpired,    // nothing was heard of the worker
  kFailed,     // tried again after a delay
  kPermanent,  // trying again would fail again
};

// Takes a leased job from its worker: back into the queue, at once or after
// `job.backoff_until`, to the end after the last failure allowed, or to where a
// cancel or a pause wanted it. `message` says why. A validation that ends for
// good leaves its dataset INVALID with that message. REQUIRES:
// IsLeased(job.state).
absl::Status ReleaseJob(storage::StateTransaction& transaction,
                        storage::Job& job, AttemptEnd end,
                        const LeaseOptions& options, absl::string_view message,
                        absl::Time now, std::vector<JobMove>& moves);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_JOBS_JOB_MOVES_H_
