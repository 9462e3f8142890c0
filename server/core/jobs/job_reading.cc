// The part of JobManager that changes nothing.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/jobs/job_manager.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

using storage::Job;
using storage::JobState;
using storage::StateTransaction;

// In one message to a watcher.
constexpr int kMaxUpdateRows = 1'000;

// "position 3", with what the last attempt said.
std::string WithLastAttempt(std::string text, absl::string_view last_attempt) {
  if (!last_attempt.empty()) {
    absl::StrAppend(&text, " (last attempt: ", last_attempt, ")");
  }
  return text;
}

}  // namespace

absl::StatusOr<Job> JobManager::Find(StateTransaction& transaction,
                                     absl::string_view id) {
  absl::StatusOr<Job> job = transaction.jobs().Get(id);
  if (absl::IsNotFound(job.status()) ||
      (job.ok() && std::holds_alternative<storage::ValidateSpec>(job->spec))) {
    return NotFound("job", id);
  }
  return job;
}

absl::Status JobManager::Describe(StateTransaction& transaction,
                                  Job& job) const {
  if (const std::optional<Lease> lease = leases_.OfJob(job.id)) {
    job.step = std::max(job.step, lease->step);
    job.total_steps = std::max(job.total_steps, lease->total_steps);
  }
  if (job.state == JobState::kBackoff && job.backoff_until.has_value()) {
    job.status_message = WithLastAttempt(
        absl::StrCat("tried again at ",
                     absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", *job.backoff_until,
                                      absl::UTCTimeZone())),
        job.status_message);
  }
  if (job.state != JobState::kQueued) return absl::OkStatus();
  if (!workers_.HasWorker(WorkerRole::kTrain)) {
    job.status_message = WithLastAttempt("no worker", job.status_message);
    return absl::OkStatus();
  }
  ATTUNE_ASSIGN_OR_RETURN(const int64_t before,
                          transaction.jobs().CountQueuedBefore(job.sequence));
  job.status_message = WithLastAttempt(absl::StrCat("position ", before + 1),
                                       job.status_message);
  return absl::OkStatus();
}

absl::StatusOr<Job> JobManager::Get(absl::string_view id) const {
  std::optional<Job> job;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(job, Find(transaction, id));
        return Describe(transaction, *job);
      }));
  return *std::move(job);
}

absl::StatusOr<std::vector<Job>> JobManager::List(
    int64_t before, int limit, absl::Span<const JobState> states) const {
  std::vector<Job> jobs;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(jobs,
                                transaction.jobs().List(before, limit, states));
        for (Job& job : jobs) {
          ATTUNE_RETURN_IF_ERROR(Describe(transaction, job));
        }
        return absl::OkStatus();
      }));
  return jobs;
}

absl::StatusOr<JobUpdate> JobManager::Update(absl::string_view id,
                                             WatchPosition position) const {
  JobUpdate update;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        storage::JobStore& jobs = transaction.jobs();
        ATTUNE_ASSIGN_OR_RETURN(update.job, Find(transaction, id));
        ATTUNE_RETURN_IF_ERROR(Describe(transaction, update.job));
        ATTUNE_ASSIGN_OR_RETURN(
            update.metrics,
            jobs.ListMetrics(id, position.step, kMaxUpdateRows));
        ATTUNE_ASSIGN_OR_RETURN(
            update.events, jobs.ListEvents(id, position.event, kMaxUpdateRows));
        return absl::OkStatus();
      }));
  update.position = position;
  if (!update.metrics.empty())
    update.position.step = update.metrics.back().step;
  if (!update.events.empty()) {
    update.position.event = update.events.back().number;
  }
  update.more = update.metrics.size() == kMaxUpdateRows ||
                update.events.size() == kMaxUpdateRows;
  return update;
}

absl::StatusOr<std::vector<storage::MetricRow>> JobManager::ListMetrics(
    absl::string_view id, int64_t after_step, int limit) const {
  std::vector<storage::MetricRow> rows;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(Find(transaction, id).status());
        ATTUNE_ASSIGN_OR_RETURN(
            rows, transaction.jobs().ListMetrics(id, after_step, limit));
        return absl::OkStatus();
      }));
  return rows;
}

absl::StatusOr<std::vector<storage::JobEvent>> JobManager::ListEvents(
    absl::string_view id, int64_t after_number, int limit) const {
  std::vector<storage::JobEvent> events;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(Find(transaction, id).status());
        ATTUNE_ASSIGN_OR_RETURN(
            events, transaction.jobs().ListEvents(id, after_number, limit));
        return absl::OkStatus();
      }));
  return events;
}

absl::StatusOr<std::vector<storage::Checkpoint>> JobManager::ListCheckpoints(
    absl::string_view id) const {
  std::vector<storage::Checkpoint> checkpoints;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(Find(transaction, id).status());
        ATTUNE_ASSIGN_OR_RETURN(checkpoints,
                                transaction.jobs().ListCheckpoints(id));
        return absl::OkStatus();
      }));
  return checkpoints;
}

absl::StatusOr<storage::Evaluation> JobManager::GetEvaluation(
    absl::string_view id, absl::string_view model) const {
  storage::Evaluation evaluation;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(Find(transaction, id).status());
        std::string version(model);
        if (!version.empty()) {
          ATTUNE_ASSIGN_OR_RETURN(const storage::Version found,
                                  ResolveSelector(transaction, "model", model));
          version = VersionName(found);
        }
        absl::StatusOr<storage::Evaluation> found =
            transaction.jobs().GetEvaluation(id, version);
        if (absl::IsNotFound(found.status())) {
          return NotFound("evaluation of job", id);
        }
        ATTUNE_ASSIGN_OR_RETURN(evaluation, std::move(found));
        return absl::OkStatus();
      }));
  return evaluation;
}

absl::StatusOr<std::vector<storage::Evaluation>> JobManager::ListEvaluations(
    storage::EvaluationFilter filter, int64_t before, int limit) const {
  std::vector<storage::Evaluation> evaluations;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        if (!filter.job_id.empty()) {
          ATTUNE_RETURN_IF_ERROR(Find(transaction, filter.job_id).status());
        }
        if (!filter.model.empty()) {
          ATTUNE_ASSIGN_OR_RETURN(const Selector selector,
                                  ParseSelector("model", filter.model));
          // A plain NAME means all its versions here.
          if (filter.model != selector.model) {
            ATTUNE_ASSIGN_OR_RETURN(const storage::Version version,
                                    ResolveSelector(transaction, selector));
            filter.model = VersionName(version);
          }
        }
        ATTUNE_ASSIGN_OR_RETURN(evaluations, transaction.jobs().ListEvaluations(
                                                 filter, before, limit));
        return absl::OkStatus();
      }));
  return evaluations;
}

absl::StatusOr<std::map<JobState, int64_t>> JobManager::CountByState() const {
  std::map<JobState, int64_t> counts;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        for (int i = static_cast<int>(JobState::kQueued);
             i <= static_cast<int>(JobState::kCancelled); ++i) {
          const auto state = static_cast<JobState>(i);
          ATTUNE_ASSIGN_OR_RETURN(const int64_t count,
                                  transaction.jobs().CountInState(state));
          if (count > 0) counts[state] = count;
        }
        return absl::OkStatus();
      }));
  return counts;
}

}  // namespace attune::core
