#include "server/core/leases/task_reports.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "server/core/jobs/job_state.h"
#include "server/core/models/manifest.h"
#include "server/core/models/version.h"

namespace attune::core {

using storage::Job;
using storage::JobState;
using storage::MetricRow;
using storage::StateTransaction;

namespace {

constexpr size_t kMaxRows = 1'000;
constexpr size_t kKeptCheckpoints = 2;
// Steps before a checkpoint whose mean loss is taken for the checkpoint's.
constexpr int64_t kLossSteps = 20;
constexpr size_t kMaxWorkerStateBytes = size_t{1} << 20;
constexpr size_t kMaxNotes = 100;

// A report may be sent twice: what the attempt has said stands already.
absl::Status AddNotes(StateTransaction& transaction, const Job& job,
                      const std::vector<std::string>& notes, absl::Time now) {
  if (notes.empty()) return absl::OkStatus();
  std::set<std::string> said;
  for (int64_t after = 0;;) {
    ATTUNE_ASSIGN_OR_RETURN(
        const std::vector<storage::JobEvent> events,
        transaction.jobs().ListEvents(job.id, after, kMaxRows));
    if (events.empty()) break;
    for (const storage::JobEvent& event : events) {
      if (event.attempt == job.attempt) said.insert(event.message);
    }
    after = events.back().number;
  }
  for (const std::string& note : notes) {
    if (!said.insert(note).second) continue;
    ATTUNE_RETURN_IF_ERROR(transaction.jobs().AddEvent(
        job.id,
        {.number = 0, .time = now, .attempt = job.attempt, .message = note}));
  }
  return absl::OkStatus();
}

// Infinite while no row is there.
absl::StatusOr<double> LossBefore(storage::JobStore& jobs,
                                  absl::string_view job_id, int64_t step) {
  const int64_t first = std::max<int64_t>(0, step - kLossSteps);
  ATTUNE_ASSIGN_OR_RETURN(
      const std::vector<MetricRow> rows,
      jobs.ListMetrics(job_id, first, static_cast<int>(step - first)));
  double sum = 0;
  int count = 0;
  for (const MetricRow& row : rows) {
    if (row.step > step || !row.loss.has_value()) continue;
    sum += *row.loss;
    ++count;
  }
  return count == 0 ? std::numeric_limits<double>::infinity() : sum / count;
}

// Leaves the last two and the best.
absl::Status DeleteOldCheckpoints(storage::JobStore& jobs,
                                  absl::string_view job_id) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::Checkpoint> all,
                          jobs.ListCheckpoints(job_id));
  if (all.size() <= kKeptCheckpoints) return absl::OkStatus();
  size_t best = 0;
  double best_loss = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < all.size(); ++i) {
    ATTUNE_ASSIGN_OR_RETURN(const double loss,
                            LossBefore(jobs, job_id, all[i].step));
    if (loss >= best_loss) continue;
    best = i;
    best_loss = loss;
  }
  for (size_t i = kKeptCheckpoints; i < all.size(); ++i) {
    if (i == best) continue;
    ATTUNE_RETURN_IF_ERROR(jobs.DeleteCheckpoint(job_id, all[i].step));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Job> LeasedJob(StateTransaction& transaction,
                              absl::string_view token) {
  absl::StatusOr<Job> job = transaction.jobs().Get(JobOfToken(token));
  if (absl::IsNotFound(job.status())) return LeaseLost(JobOfToken(token));
  ATTUNE_RETURN_IF_ERROR(job.status());
  if (!IsLeased(job->state) || job->lease_token_hash != Sha256Hex(token)) {
    return LeaseLost(job->id);
  }
  return job;
}

absl::Status TaskReports::Check(absl::string_view token) const {
  return state_.Read([&](StateTransaction& transaction) {
    return LeasedJob(transaction, token).status();
  });
}

absl::Status TaskReports::AddMetrics(absl::string_view token,
                                     std::vector<MetricRow> rows,
                                     int64_t total_steps,
                                     const std::vector<std::string>& notes) {
  if (rows.size() > kMaxRows) {
    return InvalidField("rows", "must be at most 1,000: send several reports");
  }
  if (total_steps < 0) {
    return InvalidField("total_steps", "must not be negative");
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].step < 1 || (i > 0 && rows[i].step <= rows[i - 1].step)) {
      return InvalidField(absl::StrCat("rows[", i, "].step"),
                          "steps must be positive and ascend");
    }
  }
  if (notes.size() > kMaxNotes) {
    return InvalidField("notes", "must be at most 100");
  }
  for (size_t i = 0; i < notes.size(); ++i) {
    ATTUNE_RETURN_IF_ERROR(
        ValidateText(absl::StrCat("notes[", i, "]"), notes[i]));
  }
  Job job;
  int64_t new_steps = 0;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction) {
    ATTUNE_ASSIGN_OR_RETURN(job, LeasedJob(transaction, token));
    for (MetricRow& row : rows) {
      row.attempt = job.attempt;
      if (row.step > job.step) ++new_steps;
    }
    ATTUNE_RETURN_IF_ERROR(transaction.jobs().PutMetrics(job.id, rows));
    if (!rows.empty()) job.step = std::max(job.step, rows.back().step);
    if (total_steps > 0) job.total_steps = total_steps;
    ATTUNE_RETURN_IF_ERROR(AddNotes(transaction, job, notes, clock_.WallNow()));
    return transaction.jobs().Update(job);
  }));
  leases_.SetProgress(job.id, job.step, job.total_steps);
  if (const auto* spec = std::get_if<storage::TrainSpec>(&job.spec)) {
    metrics_.TrainProgress(new_steps, new_steps * spec->batch_size);
  }
  signals_.Changed(job.id);
  return absl::OkStatus();
}

absl::Status TaskReports::DropCheckpoints(absl::string_view token,
                                          absl::Span<const int64_t> steps) {
  std::string job_id;
  int64_t dropped = 0;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction) {
    ATTUNE_ASSIGN_OR_RETURN(const Job job, LeasedJob(transaction, token));
    job_id = job.id;
    storage::JobStore& jobs = transaction.jobs();
    ATTUNE_ASSIGN_OR_RETURN(const std::vector<storage::Checkpoint> there,
                            jobs.ListCheckpoints(job.id));
    for (const storage::Checkpoint& checkpoint : there) {
      const int64_t step = checkpoint.step;
      if (std::find(steps.begin(), steps.end(), step) == steps.end()) continue;
      // A report may come late or twice: one that the attempt has made since
      // then at the same step stays. (Those that a retry was given have 0.)
      if (checkpoint.attempt >= job.attempt) continue;
      ATTUNE_RETURN_IF_ERROR(jobs.DeleteCheckpoint(job.id, step));
      ATTUNE_RETURN_IF_ERROR(jobs.AddEvent(
          job.id, {.time = clock_.WallNow(),
                   .attempt = job.attempt,
                   .message = absl::StrCat("The checkpoint after step ", step,
                                           " cannot be used and is dropped")}));
      ++dropped;
    }
    return absl::OkStatus();
  }));
  if (dropped == 0) return absl::OkStatus();
  metrics_.CheckpointsUnusable(dropped);
  signals_.Changed(job_id);
  return absl::OkStatus();
}

absl::Status TaskReports::CommitCheckpoint(absl::string_view token,
                                           int64_t step,
                                           storage::TensorManifest manifest,
                                           absl::string_view worker_state) {
  if (step < 0) return InvalidField("checkpoint.step", "must not be negative");
  if (worker_state.size() > kMaxWorkerStateBytes) {
    return InvalidField("checkpoint.state", "must be at most 1 MiB");
  }
  ATTUNE_RETURN_IF_ERROR(ValidateManifest(manifest));
  ATTUNE_RETURN_IF_ERROR(Check(token));
  ATTUNE_RETURN_IF_ERROR(CheckBlobs(blobs_, manifest));
  std::string job_id;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction) {
    ATTUNE_ASSIGN_OR_RETURN(const Job job, LeasedJob(transaction, token));
    job_id = job.id;
    storage::JobStore& jobs = transaction.jobs();
    const absl::Time now = clock_.WallNow();
    ATTUNE_RETURN_IF_ERROR(
        jobs.PutCheckpoint({.job_id = job.id,
                            .step = step,
                            .attempt = job.attempt,
                            .create_time = now,
                            .manifest = std::move(manifest),
                            .state = std::string(worker_state)}));
    ATTUNE_RETURN_IF_ERROR(DeleteOldCheckpoints(jobs, job.id));
    return jobs.AddEvent(
        job.id, {.time = now,
                 .attempt = job.attempt,
                 .message = absl::StrCat("Checkpoint after step ", step)});
  }));
  signals_.Changed(job_id);
  return absl::OkStatus();
}

absl::Status TaskReports::Fail(absl::string_view token, FailureKind kind,
                               absl::string_view reason,
                               absl::string_view message) {
  const AttemptEnd end = kind == FailureKind::kHandBack ? AttemptEnd::kHandBack
                         : kind == FailureKind::kPermanent
                             ? AttemptEnd::kPermanent
                             : AttemptEnd::kFailed;
  const std::string why = reason.empty() ? std::string(message)
                          : message.empty()
                              ? std::string(reason)
                              : absl::StrCat(reason, ": ", message);
  Job job;
  std::vector<JobMove> moves;
  std::string worker_id;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction) {
    ATTUNE_ASSIGN_OR_RETURN(job, LeasedJob(transaction, token));
    worker_id = job.worker_id;
    return ReleaseJob(transaction, job, end, options_, why, clock_.WallNow(),
                      moves);
  }));
  if (job.state == JobState::kBackoff) {
    leases_.StartBackoff(job.id,
                         options_.DelayAfter(job.failure_count, job.id));
  }
  Released(job, worker_id, moves);
  return absl::OkStatus();
}

void TaskReports::Released(const Job& job, absl::string_view worker_id,
                           const std::vector<JobMove>& moves) {
  leases_.Remove(job.id, job.attempt);
  workers_.SetTask(worker_id, "");
  signals_.Moved(moves);
}

}  // namespace attune::core
