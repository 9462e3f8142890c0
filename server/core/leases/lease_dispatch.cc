// The part of LeaseManager that brings queued jobs and waiting workers
// together.

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/status_macros.h"
#include "server/core/jobs/job_inputs.h"
#include "server/core/leases/lease_manager.h"

namespace attune::core {

using storage::Job;
using storage::JobState;
using storage::StateTransaction;

namespace {

// Why no worker can do a task; "" when it can be read, or later perhaps.
absl::string_view HopelessReason(const absl::Status& status) {
  if (absl::IsNotFound(status)) return "INPUT_MISSING";
  if (absl::IsFailedPrecondition(status)) return "INPUT_CHANGED";
  return "";
}

}  // namespace

void LeaseManager::Wake() {
  {
    absl::MutexLock lock(&mutex_);
    if (dispatching_) {
      dispatch_again_ = true;
      return;
    }
    if (waits_.empty()) return;
    dispatching_ = true;
  }
  if (!executor_.Submit([this] { Dispatch(); })) {
    absl::MutexLock lock(&mutex_);
    dispatching_ = false;
  }
}

void LeaseManager::Dispatch() {
  while (std::optional<Wait> wait = TakeWait()) {
    absl::StatusOr<std::optional<LeasedTask>> task =
        LeaseOldest(wait->worker_id);
    if (!Serve(*std::move(wait), std::move(task))) return;
  }
}

std::optional<LeaseManager::Wait> LeaseManager::TakeWait() {
  absl::MutexLock lock(&mutex_);
  dispatch_again_ = false;
  if (waits_.empty()) {
    dispatching_ = false;
    return std::nullopt;
  }
  Wait wait = std::move(waits_.begin()->second);
  waits_.erase(waits_.begin());
  served_wait_ = wait.id;
  served_worker_ = wait.worker_id;
  served_wait_cancelled_ = false;
  return wait;
}

bool LeaseManager::Serve(Wait wait,
                         absl::StatusOr<std::optional<LeasedTask>> task) {
  const bool none = task.ok() && !task->has_value();
  bool cancelled = false;
  bool go_on = true;
  {
    absl::MutexLock lock(&mutex_);
    cancelled = served_wait_cancelled_;
    served_wait_ = 0;
    if (none) {
      if (!cancelled) {
        // Back to its place: ids are in the order of asking.
        const int64_t id = wait.id;
        waits_.emplace(id, std::move(wait));
      }
      // A job that was queued since the look at the queue would be missed.
      go_on = dispatch_again_;
      if (!go_on) dispatching_ = false;
    }
  }
  if (cancelled) {
    if (task.ok() && task->has_value()) HandBack(**task);
    wait.done(std::nullopt);
  } else if (!none) {
    wait.done(std::move(task));
  }
  return go_on;
}

absl::StatusOr<std::optional<LeasedTask>> LeaseManager::LeaseOldest(
    absl::string_view worker_id) {
  std::optional<LeasedTask> leased;
  std::vector<JobMove> moves;
  const absl::Status status =
      state_.Write([&](StateTransaction& transaction) -> absl::Status {
        const absl::Time now = clock_.WallNow();
        while (true) {
          ATTUNE_ASSIGN_OR_RETURN(std::optional<Job> job,
                                  transaction.jobs().OldestQueued());
          if (!job.has_value()) return absl::OkStatus();
          ++job->attempt;
          const std::string token = NewLeaseToken(job->id, job->attempt);
          job->worker_id = std::string(worker_id);
          job->lease_token_hash = Sha256Hex(token);
          const absl::Status inputs = CheckInputs(transaction, *job);
          absl::StatusOr<LeasedTask> task = ReadTask(transaction, *job);
          if (!inputs.ok()) task = inputs;
          // What an attempt did after its last checkpoint is done again.
          job->step = task.ok() && task->checkpoint.has_value()
                          ? task->checkpoint->step
                          : 0;
          ATTUNE_RETURN_IF_ERROR(
              transaction.jobs().DeleteMetricsAfter(job->id, job->step));
          ATTUNE_RETURN_IF_ERROR(
              MoveJob(transaction, *job, JobState::kRunning,
                      absl::StrCat("Attempt ", job->attempt,
                                   " begins on worker ", worker_id),
                      "", now, moves));
          if (const absl::string_view reason = HopelessReason(task.status());
              !reason.empty()) {
            // It would block the queue for ever.
            ATTUNE_RETURN_IF_ERROR(
                ReleaseJob(transaction, *job, AttemptEnd::kPermanent, options_,
                           absl::StrCat(reason, ": ", task.status().message()),
                           now, moves));
            continue;
          }
          ATTUNE_RETURN_IF_ERROR(task.status());
          task->lease_token = token;
          task->job = *job;
          leased = *std::move(task);
          break;
        }
        // Before the commit: whoever cancels the job from then on finds the
        // lease.
        leases_.Grant({.job_id = leased->job.id,
                       .attempt = leased->job.attempt,
                       .token_hash = leased->job.lease_token_hash,
                       .worker_id = leased->job.worker_id,
                       .task_name = TaskName(leased->job),
                       .wish = Wish::kContinue,
                       .step = leased->job.step,
                       .total_steps = leased->job.total_steps,
                       .deadline = {}});
        return absl::OkStatus();
      });
  if (!status.ok()) {
    if (leased.has_value()) {
      leases_.Remove(leased->job.id, leased->job.attempt);
    }
    return status;
  }
  signals_.Moved(moves);
  if (leased.has_value()) {
    workers_.SetTask(worker_id, TaskName(leased->job));
    if (leased->job.attempt == 1) {
      metrics_.TaskLeased(
          std::max(absl::ZeroDuration(),
                   *leased->job.start_time - leased->job.create_time));
    }
  }
  return leased;
}

}  // namespace attune::core
