#ifndef ATTUNE_SERVER_CORE_JOBS_JOB_STATE_H_
#define ATTUNE_SERVER_CORE_JOBS_JOB_STATE_H_

#include "absl/strings/string_view.h"
#include "storage/records.h"

namespace attune::core {

// The one table of a job's life. Terminal states are final.
//
//   QUEUED      → RUNNING (lease), PAUSED, CANCELLED
//   RUNNING     → SUCCEEDED, FAILED, QUEUED (hand-back, expired lease),
//                 BACKOFF (failed attempt), PAUSING, CANCELLING
//   BACKOFF     → QUEUED (the delay is over), PAUSED, CANCELLED
//   PAUSING     → PAUSED, CANCELLING
//   PAUSED      → QUEUED (resume), CANCELLED
//   CANCELLING  → CANCELLED
bool CanMove(storage::JobState from, storage::JobState to);

// Whether a worker holds the job's lease.
bool IsLeased(storage::JobState state);

// Lower-case, for events and messages: "queued".
absl::string_view JobStateName(storage::JobState state);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_JOBS_JOB_STATE_H_
