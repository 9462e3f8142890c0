#include "server/core/jobs/job_moves.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "server/core/jobs/job_state.h"

namespace attune::core {

using storage::Job;
using storage::JobState;

namespace {

absl::Status AbandonValidation(storage::StateTransaction& transaction,
                               const Job& job, absl::string_view message) {
  const auto* spec = std::get_if<storage::ValidateSpec>(&job.spec);
  if (spec == nullptr) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(storage::Dataset dataset,
                          transaction.datasets().Get(spec->dataset));
  dataset.state = storage::DatasetState::kInvalid;
  // Example 0 is none: the message is about the validation itself.
  dataset.invalid_examples = {
      {.example = 0,
       .reason = absl::StrCat("the validation did not finish: ", message)}};
  dataset.invalid_example_count = 0;
  return transaction.datasets().Update(dataset);
}

}  // namespace

absl::Status InsertQueued(storage::StateTransaction& transaction, Job& job,
                          absl::Time now, absl::string_view event) {
  job.state = JobState::kQueued;
  job.create_time = now;
  ATTUNE_RETURN_IF_ERROR(transaction.jobs().Insert(job));
  return transaction.jobs().AddEvent(
      job.id,
      {.time = now, .attempt = job.attempt, .message = std::string(event)});
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

absl::Status ReleaseJob(storage::StateTransaction& transaction, Job& job,
                        AttemptEnd end, const LeaseOptions& options,
                        absl::string_view message, absl::Time now,
                        std::vector<JobMove>& moves) {
  if (job.state == JobState::kCancelling) {
    return MoveJob(transaction, job, JobState::kCancelled,
                   absl::StrCat("Cancelled: ", message), "cancelled", now,
                   moves);
  }
  if (job.state == JobState::kPausing) {
    // Whatever ended the attempt is met again by the next one.
    return MoveJob(transaction, job, JobState::kPaused,
                   absl::StrCat("Paused: ", message), "waits to be resumed",
                   now, moves);
  }
  if (end == AttemptEnd::kHandBack) {
    return MoveJob(transaction, job, JobState::kQueued,
                   absl::StrCat("Handed back and queued again: ", message),
                   message, now, moves);
  }
  ++job.failure_count;
  const std::string what =
      absl::StrCat("Attempt ", job.attempt, " failed: ", message);
  if (end == AttemptEnd::kPermanent ||
      job.failure_count >= options.max_failures) {
    ATTUNE_RETURN_IF_ERROR(
        MoveJob(transaction, job, JobState::kFailed,
                absl::StrCat(what, end == AttemptEnd::kPermanent
                                       ? "; trying again would not help"
                                       : "; it was the last attempt allowed"),
                message, now, moves));
    return AbandonValidation(transaction, job, message);
  }
  // A worker that is gone does not make a second one fail.
  const absl::Duration delay =
      end == AttemptEnd::kExpired
          ? absl::ZeroDuration()
          : options.DelayAfter(job.failure_count, job.id);
  if (delay == absl::ZeroDuration()) {
    return MoveJob(transaction, job, JobState::kQueued,
                   absl::StrCat(what, "; queued again"), message, now, moves);
  }
  job.backoff_until = now + delay;
  return MoveJob(
      transaction, job, JobState::kBackoff,
      absl::StrCat(what, "; tried again in ", absl::FormatDuration(delay)),
      message, now, moves);
}

}  // namespace attune::core
