#include "server/core/leases/lease_manager.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/idempotency.h"
#include "server/core/jobs/job_state.h"

namespace attune::core {
namespace {

using storage::Job;
using storage::JobState;
using storage::StateTransaction;

// More than this many leases or delays at a restart would be another system.
constexpr int kMaxRecovered = 1'000'000;
constexpr absl::Duration kPurgeInterval = absl::Hours(1);
// After the disk refused a change of state.
constexpr absl::Duration kRetryDelay = absl::Seconds(1);

Wish WishOf(JobState state) {
  switch (state) {
    case JobState::kCancelling:
      return Wish::kCancel;
    case JobState::kPausing:
      return Wish::kPause;
    default:
      return Wish::kContinue;
  }
}

}  // namespace

LeaseManager::LeaseManager(storage::StateStore& state, const Clock& clock,
                           Executor& executor, WorkerRegistry& workers,
                           LeaseTable& leases, JobSignals& signals,
                           Metrics& metrics, LeaseOptions options)
    : state_(state),
      clock_(clock),
      executor_(executor),
      workers_(workers),
      leases_(leases),
      signals_(signals),
      metrics_(metrics),
      options_(options),
      next_purge_(clock.MonotonicNow()) {
  signals_.SetQueueListener([this] { Wake(); });
}

LeaseManager::~LeaseManager() { signals_.SetQueueListener(nullptr); }

absl::Status LeaseManager::Recover() {
  return state_.Read([&](StateTransaction& transaction) {
    for (const JobState state :
         {JobState::kRunning, JobState::kPausing, JobState::kCancelling}) {
      ATTUNE_ASSIGN_OR_RETURN(
          const std::vector<Job> jobs,
          transaction.jobs().ListInState(state, kMaxRecovered));
      for (const Job& job : jobs) {
        leases_.Grant({.job_id = job.id,
                       .attempt = job.attempt,
                       .token_hash = job.lease_token_hash,
                       .worker_id = job.worker_id,
                       .task_name = TaskName(job),
                       .wish = WishOf(state),
                       .step = job.step,
                       .total_steps = job.total_steps,
                       .deadline = {}});
      }
    }
    ATTUNE_ASSIGN_OR_RETURN(
        const std::vector<Job> waiting,
        transaction.jobs().ListInState(JobState::kBackoff, kMaxRecovered));
    for (const Job& job : waiting) {
      leases_.StartBackoff(job.id,
                           options_.DelayAfter(job.failure_count, job.id));
    }
    return absl::OkStatus();
  });
}

int64_t LeaseManager::WaitForTask(absl::string_view worker_id,
                                  absl::Duration wait, LeaseCallback done) {
  absl::Status status = workers_.Touch(worker_id);
  if (status.ok()) status = workers_.RequireRole(worker_id, WorkerRole::kTrain);
  if (!status.ok()) {
    done(status);
    return 0;
  }
  // Before the new wait can be served: what it gets must not be taken back.
  const std::optional<core::Lease> held = leases_.HeldBy(worker_id);
  std::vector<LeaseCallback> replaced;
  int64_t id = 0;
  bool stopped = false;
  {
    absl::MutexLock lock(&mutex_);
    stopped = stopped_;
    if (!stopped) {
      // A worker that asks again has lost its earlier question.
      for (auto other = waits_.begin(); other != waits_.end();) {
        if (other->second.worker_id != worker_id) {
          ++other;
          continue;
        }
        replaced.push_back(std::move(other->second.done));
        other = waits_.erase(other);
      }
      if (served_wait_ != 0 && served_worker_ == worker_id) {
        served_wait_cancelled_ = true;
      }
      id = next_wait_id_++;
      waits_.emplace(id, Wait{.id = id,
                              .worker_id = std::string(worker_id),
                              .deadline = clock_.MonotonicNow() + wait,
                              .done = std::move(done)});
    }
  }
  for (LeaseCallback& callback : replaced) callback(std::nullopt);
  if (stopped) {
    done(std::nullopt);
    return 0;
  }
  if (held.has_value()) {
    // Refused only when the server stops, and then the lease is kept.
    (void)executor_.Submit([this, lease = *held] {
      Release(lease, AttemptEnd::kHandBack, "its worker asked for another task")
          .IgnoreError();
    });
  }
  Wake();
  return id;
}

void LeaseManager::CancelWait(int64_t wait_id) {
  std::optional<Wait> wait;
  {
    absl::MutexLock lock(&mutex_);
    if (wait_id == served_wait_) served_wait_cancelled_ = true;
    const auto found = waits_.find(wait_id);
    if (found == waits_.end()) return;
    wait = std::move(found->second);
    waits_.erase(found);
  }
  wait->done(std::nullopt);
}

void LeaseManager::StopWaits() {
  std::map<int64_t, Wait> waits;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    waits.swap(waits_);
    served_wait_cancelled_ = served_wait_ != 0;
  }
  for (auto& [id, wait] : waits) wait.done(std::nullopt);
}

void LeaseManager::HandBack(const LeasedTask& task) {
  Release({.job_id = task.job.id,
           .attempt = task.job.attempt,
           .token_hash = task.job.lease_token_hash,
           .worker_id = task.job.worker_id,
           .task_name = TaskName(task.job),
           .wish = Wish::kContinue,
           .step = 0,
           .total_steps = 0,
           .deadline = {}},
          AttemptEnd::kHandBack, "the task did not reach its worker")
      .IgnoreError();
}

absl::StatusOr<Wish> LeaseManager::Heartbeat(absl::string_view token,
                                             int64_t step,
                                             int64_t total_steps) {
  ATTUNE_ASSIGN_OR_RETURN(const Wish wish,
                          leases_.Renew(token, step, total_steps));
  // The registry has forgotten the task when the server was restarted.
  if (const absl::StatusOr<core::Lease> lease = leases_.Find(token);
      lease.ok()) {
    workers_.SetTask(lease->worker_id, lease->task_name);
  }
  return wish;
}

absl::Status LeaseManager::Tick() {
  ExpireWaits();
  absl::Status result;
  for (const core::Lease& lease : leases_.TakeExpired()) {
    const absl::Status status =
        Release(lease, AttemptEnd::kExpired,
                absl::StrCat("nothing was heard of worker ", lease.worker_id,
                             " for ", absl::FormatDuration(options_.duration)));
    if (status.ok()) {
      metrics_.LeaseExpired();
    } else {
      leases_.Grant(lease);  // tried again after one more term
    }
    result.Update(status);
  }
  for (const std::string& job_id : leases_.TakeEndedBackoffs()) {
    const absl::Status status = EndBackoff(job_id);
    if (!status.ok()) leases_.StartBackoff(job_id, kRetryDelay);
    result.Update(status);
  }
  bool purge = false;
  {
    absl::MutexLock lock(&mutex_);
    purge = clock_.MonotonicNow() >= next_purge_;
    if (purge) next_purge_ = clock_.MonotonicNow() + kPurgeInterval;
  }
  if (purge) {
    result.Update(state_.Write([&](StateTransaction& transaction) {
      return transaction.requests().DeleteBefore(clock_.WallNow() -
                                                 kRequestLifetime);
    }));
  }
  return result;
}

void LeaseManager::ExpireWaits() {
  std::vector<LeaseCallback> expired;
  {
    absl::MutexLock lock(&mutex_);
    for (auto wait = waits_.begin(); wait != waits_.end();) {
      if (wait->second.deadline > clock_.MonotonicNow()) {
        ++wait;
        continue;
      }
      expired.push_back(std::move(wait->second.done));
      wait = waits_.erase(wait);
    }
  }
  for (LeaseCallback& done : expired) done(std::nullopt);
}

absl::Status LeaseManager::Release(const core::Lease& lease, AttemptEnd end,
                                   absl::string_view message) {
  std::vector<JobMove> moves;
  std::optional<Job> released;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction) {
    absl::StatusOr<Job> found = transaction.jobs().Get(lease.job_id);
    if (absl::IsNotFound(found.status())) return absl::OkStatus();
    ATTUNE_ASSIGN_OR_RETURN(Job job, std::move(found));
    // Meanwhile completed, failed or leased again: nothing to release.
    if (job.attempt != lease.attempt || !IsLeased(job.state)) {
      return absl::OkStatus();
    }
    ATTUNE_RETURN_IF_ERROR(ReleaseJob(transaction, job, end, options_, message,
                                      clock_.WallNow(), moves));
    released = std::move(job);
    return absl::OkStatus();
  }));
  leases_.Remove(lease.job_id, lease.attempt);
  if (!released.has_value()) return absl::OkStatus();
  workers_.SetTask(lease.worker_id, "");
  signals_.Moved(moves);
  return absl::OkStatus();
}

absl::Status LeaseManager::EndBackoff(absl::string_view job_id) {
  std::vector<JobMove> moves;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction) {
    ATTUNE_ASSIGN_OR_RETURN(Job job, transaction.jobs().Get(job_id));
    if (job.state != JobState::kBackoff) return absl::OkStatus();
    const std::string reason = job.status_message;
    return MoveJob(transaction, job, JobState::kQueued, "Queued again", reason,
                   clock_.WallNow(), moves);
  }));
  signals_.Moved(moves);
  return absl::OkStatus();
}

}  // namespace attune::core
