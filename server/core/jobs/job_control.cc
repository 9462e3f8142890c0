// The part of JobManager that moves jobs as their owners wish.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/status_macros.h"
#include "server/core/jobs/job_inputs.h"
#include "server/core/jobs/job_manager.h"
#include "server/core/jobs/job_moves.h"
#include "server/core/jobs/job_state.h"

namespace attune::core {
namespace {

using storage::Checkpoint;
using storage::Job;
using storage::JobState;
using storage::StateTransaction;

// As many as a job keeps to go on from.
constexpr size_t kCopiedCheckpoints = 2;

absl::Status WrongState(const Job& job, absl::string_view reason,
                        absl::string_view problem) {
  return Error(absl::StatusCode::kFailedPrecondition, reason,
               absl::StrCat("job '", job.id, "' ", problem));
}

absl::Status HasEnded(const Job& job) {
  return WrongState(
      job, "JOB_ENDED",
      absl::StrCat("has ended: it ",
                   job.state == JobState::kCancelled ? "was " : "",
                   JobStateName(job.state)));
}

absl::Status IsCancelling(const Job& job) {
  return WrongState(job, "JOB_CANCELLING",
                    "is being cancelled; once it has ended, a retry goes on "
                    "from its last checkpoint");
}

absl::Status CancelIn(StateTransaction& transaction, Job& job, absl::Time now,
                      std::vector<JobMove>& moves) {
  switch (job.state) {
    case JobState::kQueued:
    case JobState::kBackoff:
    case JobState::kPaused:
      return MoveJob(transaction, job, JobState::kCancelled, "Cancelled",
                     "cancelled", now, moves);
    case JobState::kRunning:
    case JobState::kPausing:
      return MoveJob(transaction, job, JobState::kCancelling, "Asked to cancel",
                     "the worker is asked to stop", now, moves);
    case JobState::kCancelling:
    case JobState::kCancelled:
      return absl::OkStatus();
    case JobState::kSucceeded:
    case JobState::kFailed:
      break;
  }
  return HasEnded(job);
}

absl::Status PauseIn(StateTransaction& transaction, Job& job, absl::Time now,
                     std::vector<JobMove>& moves) {
  switch (job.state) {
    case JobState::kQueued:
    case JobState::kBackoff:
      return MoveJob(transaction, job, JobState::kPaused, "Paused",
                     "waits to be resumed", now, moves);
    case JobState::kRunning:
      return MoveJob(transaction, job, JobState::kPausing, "Asked to pause",
                     "the worker is asked to store a checkpoint and stop", now,
                     moves);
    case JobState::kPausing:
    case JobState::kPaused:
      return absl::OkStatus();
    case JobState::kCancelling:
      return IsCancelling(job);
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kCancelled:
      break;
  }
  return HasEnded(job);
}

absl::Status ResumeIn(StateTransaction& transaction, Job& job, absl::Time now,
                      std::vector<JobMove>& moves) {
  switch (job.state) {
    case JobState::kPaused:
      return MoveJob(transaction, job, JobState::kQueued, "Resumed and queued",
                     "", now, moves);
    case JobState::kQueued:
    case JobState::kRunning:
    case JobState::kBackoff:
      return absl::OkStatus();
    case JobState::kPausing:
      return WrongState(job, "JOB_PAUSING",
                        "still stops: resume it once it is paused");
    case JobState::kCancelling:
      return IsCancelling(job);
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kCancelled:
      break;
  }
  return HasEnded(job);
}

absl::Status CheckRetriable(const Job& job) {
  if (!storage::IsTerminal(job.state)) {
    return WrongState(
        job, "JOB_NOT_ENDED",
        absl::StrCat("has not ended: it is ", JobStateName(job.state),
                     "; a paused job is resumed instead"));
  }
  if (job.state == JobState::kSucceeded) {
    return WrongState(job, "JOB_SUCCEEDED",
                      "has succeeded: submit a new job to train again");
  }
  return absl::OkStatus();
}

// Makes and queues the job that goes on from `ended`.
absl::StatusOr<Job> InsertRetry(StateTransaction& transaction, const Job& ended,
                                absl::Time now) {
  Job job;
  job.id = NewId("job");
  job.spec = ended.spec;
  job.config_digest = ended.config_digest;
  job.input_digests = ended.input_digests;
  job.retry_of = ended.id;
  storage::JobStore& jobs = transaction.jobs();
  ATTUNE_ASSIGN_OR_RETURN(std::vector<Checkpoint> checkpoints,
                          jobs.ListCheckpoints(ended.id));
  checkpoints.resize(std::min(checkpoints.size(), kCopiedCheckpoints));
  if (!checkpoints.empty()) {
    job.step = checkpoints.front().step;
    job.total_steps = ended.total_steps;
  }
  ATTUNE_RETURN_IF_ERROR(
      InsertQueued(transaction, job, now,
                   absl::StrCat("Created and queued as a retry of ", ended.id,
                                ", from step ", job.step)));
  for (Checkpoint& checkpoint : checkpoints) {
    checkpoint.job_id = job.id;
    checkpoint.attempt = 0;
    ATTUNE_RETURN_IF_ERROR(jobs.PutCheckpoint(checkpoint));
  }
  ATTUNE_RETURN_IF_ERROR(jobs.CopyMetrics(ended.id, job.id, job.step));
  return job;
}

}  // namespace

absl::StatusOr<Job> JobManager::MoveOnce(
    absl::string_view id, const RequestKey& key,
    absl::FunctionRef<absl::Status(StateTransaction&, Job&, absl::Time,
                                   std::vector<JobMove>&)>
        move) {
  std::optional<Job> job;
  std::vector<JobMove> moves;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction)
                                          -> absl::Status {
    const absl::Time now = clock_.WallNow();
    ATTUNE_RETURN_IF_ERROR(
        ApplyOnce(transaction, key, now, [&]() -> absl::StatusOr<std::string> {
          ATTUNE_ASSIGN_OR_RETURN(Job found, Find(transaction, id));
          ATTUNE_RETURN_IF_ERROR(move(transaction, found, now, moves));
          return found.id;
        }).status());
    ATTUNE_ASSIGN_OR_RETURN(job, Find(transaction, id));
    return Describe(transaction, *job);
  }));
  if (job->state == JobState::kCancelling) {
    leases_.AskToStop(job->id, job->attempt, Wish::kCancel);
  } else if (job->state == JobState::kPausing) {
    leases_.AskToStop(job->id, job->attempt, Wish::kPause);
  }
  signals_.Moved(moves);
  return *std::move(job);
}

absl::StatusOr<Job> JobManager::Cancel(absl::string_view id,
                                       const RequestKey& key) {
  return MoveOnce(id, key, CancelIn);
}

absl::StatusOr<Job> JobManager::Pause(absl::string_view id,
                                      const RequestKey& key) {
  return MoveOnce(id, key, PauseIn);
}

absl::StatusOr<Job> JobManager::Resume(absl::string_view id,
                                       const RequestKey& key) {
  return MoveOnce(id, key, ResumeIn);
}

absl::StatusOr<Job> JobManager::Retry(absl::string_view id,
                                      const RequestKey& key) {
  std::optional<Job> job;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction)
                                          -> absl::Status {
    const absl::Time now = clock_.WallNow();
    ATTUNE_ASSIGN_OR_RETURN(
        const std::string made,
        ApplyOnce(transaction, key, now, [&]() -> absl::StatusOr<std::string> {
          ATTUNE_ASSIGN_OR_RETURN(const Job ended, Find(transaction, id));
          ATTUNE_RETURN_IF_ERROR(CheckRetriable(ended));
          ATTUNE_RETURN_IF_ERROR(CheckInputs(transaction, ended));
          ATTUNE_ASSIGN_OR_RETURN(const Job queued,
                                  InsertRetry(transaction, ended, now));
          return queued.id;
        }));
    ATTUNE_ASSIGN_OR_RETURN(job, Find(transaction, made));
    return Describe(transaction, *job);
  }));
  signals_.Queued(job->id);
  return *std::move(job);
}

}  // namespace attune::core
