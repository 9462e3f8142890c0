#include "server/core/job_moves.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/job_state.h"

namespace attune::core {

using storage::Job;
using storage::JobState;

absl::Status InsertQueued(storage::StateTransaction& transaction, Job& job,
                          absl::Time now) {
  job.state = JobState::kQueued;
  job.create_time = now;
  ATTUNE_RETURN_IF_ERROR(transaction.jobs().Insert(job));
  return transaction.jobs().AddEvent(
      job.id,
      {.time = now, .attempt = job.attempt, .message = "Created and queued"});
}

absl::Status MoveJob(storage::StateTransaction& transaction, Job& job,
                     JobState state, absl::string_view event,
                     absl::string_view status_message, absl::Time now,
                     std::vector<JobMove>& moves) {
  if (!CanMove(job.state, state)) {
    return absl::InternalError(absl::StrCat("job ", job.id, " cannot go from ",
                                            JobStateName(job.state), " to ",
                                            JobStateName(state)));
  }
  moves.push_back({job.id, job.state, state});
  job.state = state;
  job.status_message = std::string(status_message);
  if (state == JobState::kRunning && !job.start_time.has_value()) {
    job.start_time = now;
  }
  if (storage::IsTerminal(state)) job.end_time = now;
  if (state != JobState::kBackoff) job.backoff_until.reset();
  if (!IsLeased(state)) {
    job.worker_id.clear();
    if (state != JobState::kSucceeded) job.lease_token_hash.clear();
  }
  ATTUNE_RETURN_IF_ERROR(transaction.jobs().Update(job));
  return transaction.jobs().AddEvent(
      job.id,
      {.time = now, .attempt = job.attempt, .message = std::string(event)});
}

}  // namespace attune::core
