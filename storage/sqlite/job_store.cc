#include "storage/sqlite/job_store.h"

#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/record_json.h"

namespace attune::storage {
namespace {

constexpr absl::string_view kSelectJob =
    "SELECT sequence, id, spec, state, create_time, start_time, end_time,"
    " attempt, failure_count, backoff_until, status_message, step,"
    " total_steps, worker_id, lease_token_hash, config_digest,"
    " output_versions, retry_of, input_digests FROM jobs";

Job ReadJob(Row& row) {
  Job job;
  job.sequence = row.Int64();
  job.id = row.Text();
  job.spec = FromJson<JobSpec>(row.Text());
  job.state = row.Enum<JobState>();
  job.create_time = row.Time();
  job.start_time = row.OptionalTime();
  job.end_time = row.OptionalTime();
  job.attempt = row.Int32();
  job.failure_count = row.Int32();
  job.backoff_until = row.OptionalTime();
  job.status_message = row.Text();
  job.step = row.Int64();
  job.total_steps = row.Int64();
  job.worker_id = row.Text();
  job.lease_token_hash = row.Text();
  job.config_digest = row.Text();
  job.output_versions = FromJson<std::vector<std::string>>(row.Text());
  job.retry_of = row.Text();
  job.input_digests = FromJson<std::vector<std::string>>(row.Text());
  return job;
}

// jobs.kind
constexpr int kValidateKind = 3;
int KindOf(const JobSpec& spec) { return static_cast<int>(spec.index()) + 1; }

// NAME of "NAME:N".
std::string ModelOf(absl::string_view version) {
  return std::string(version.substr(0, version.find(':')));
}

// What a job reads or writes, as rows of job_uses; "" stands for nothing.
struct Uses {
  std::set<std::string> datasets;
  std::set<std::string> models;
};
Uses UsesOf(const JobSpec& spec) {
  if (const auto* train = std::get_if<TrainSpec>(&spec)) {
    return {{train->dataset, train->eval_dataset},
            {ModelOf(train->base), train->output_model}};
  }
  if (const auto* evaluate = std::get_if<EvaluateSpec>(&spec)) {
    return {{evaluate->dataset},
            {ModelOf(evaluate->model), ModelOf(evaluate->against)}};
  }
  return {{std::get<ValidateSpec>(spec).dataset}, {}};
}

absl::Status InsertUses(Connection& connection, int64_t job,
                        absl::string_view kind,
                        const std::set<std::string>& names) {
  for (const std::string& name : names) {
    if (name.empty()) continue;
    ATTUNE_RETURN_IF_ERROR(Execute(
        connection, "INSERT INTO job_uses (kind, name, job) VALUES (?, ?, ?)",
        kind, name, job));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SqliteJobStore::Insert(Job& job) {
  absl::StatusOr<int64_t> sequence = SelectOne(
      connection_, absl::InternalError("no job row"), ReadInt64,
      "INSERT INTO jobs (id, kind, spec, state, create_time, start_time,"
      " end_time, attempt, failure_count, backoff_until, status_message,"
      " step, total_steps, worker_id, lease_token_hash, config_digest,"
      " output_versions, retry_of, input_digests)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
      " RETURNING sequence",
      job.id, KindOf(job.spec), ToJson(job.spec), job.state, job.create_time,
      job.start_time, job.end_time, job.attempt, job.failure_count,
      job.backoff_until, job.status_message, job.step, job.total_steps,
      job.worker_id, job.lease_token_hash, job.config_digest,
      ToJson(job.output_versions), job.retry_of, ToJson(job.input_digests));
  if (!sequence.ok()) {
    return AlreadyExistsAs(std::move(sequence).status(), "job", job.id);
  }
  job.sequence = *sequence;
  const Uses uses = UsesOf(job.spec);
  ATTUNE_RETURN_IF_ERROR(
      InsertUses(connection_, *sequence, "dataset", uses.datasets));
  return InsertUses(connection_, *sequence, "model", uses.models);
}

absl::Status SqliteJobStore::Update(const Job& job) {
  return ExecuteOnRow(
      connection_, NotFound("job", job.id),
      "UPDATE jobs SET state = ?, start_time = ?, end_time = ?, attempt = ?,"
      " failure_count = ?, backoff_until = ?, status_message = ?, step = ?,"
      " total_steps = ?, worker_id = ?, lease_token_hash = ?,"
      " config_digest = ?, output_versions = ? WHERE id = ?",
      job.state, job.start_time, job.end_time, job.attempt, job.failure_count,
      job.backoff_until, job.status_message, job.step, job.total_steps,
      job.worker_id, job.lease_token_hash, job.config_digest,
      ToJson(job.output_versions), job.id);
}

absl::StatusOr<Job> SqliteJobStore::Get(absl::string_view id) const {
  return SelectOne(connection_, NotFound("job", id), ReadJob,
                   absl::StrCat(kSelectJob, " WHERE id = ?"), id);
}

absl::StatusOr<std::vector<Job>> SqliteJobStore::List(
    int64_t before, int limit, absl::Span<const JobState> states) const {
  // States are enumerators, so nothing that a client wrote gets into the text,
  // and there are few distinct lists to prepare.
  const std::string filter =
      states.empty()
          ? ""
          : absl::StrCat(" AND state IN (",
                         absl::StrJoin(states, ", ",
                                       [](std::string* out, JobState state) {
                                         absl::StrAppend(
                                             out, static_cast<int>(state));
                                       }),
                         ")");
  return SelectAll(connection_, ReadJob,
                   absl::StrCat(kSelectJob, " WHERE sequence < ? AND kind <> ?",
                                filter, " ORDER BY sequence DESC LIMIT ?"),
                   before == 0 ? std::numeric_limits<int64_t>::max() : before,
                   kValidateKind, limit);
}

absl::StatusOr<std::optional<Job>> SqliteJobStore::OldestQueued() const {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<Job> jobs,
                          ListInState(JobState::kQueued, 1));
  if (jobs.empty()) return std::nullopt;
  return std::move(jobs.front());
}

absl::StatusOr<int64_t> SqliteJobStore::CountQueuedBefore(
    int64_t sequence) const {
  return SelectOne(connection_, absl::InternalError("no count"), ReadInt64,
                   "SELECT COUNT(*) FROM jobs WHERE state = ? AND sequence < ?",
                   JobState::kQueued, sequence);
}

absl::StatusOr<std::vector<Job>> SqliteJobStore::ListInState(JobState state,
                                                             int limit) const {
  return SelectAll(
      connection_, ReadJob,
      absl::StrCat(kSelectJob, " WHERE state = ? ORDER BY sequence LIMIT ?"),
      state, limit);
}

absl::StatusOr<int64_t> SqliteJobStore::CountInState(JobState state) const {
  return SelectOne(connection_, absl::InternalError("no count"), ReadInt64,
                   "SELECT COUNT(*) FROM jobs WHERE state = ?", state);
}

absl::StatusOr<std::vector<std::string>> SqliteJobStore::UnfinishedUsingDataset(
    absl::string_view dataset) const {
  return UnfinishedUsing("dataset", dataset);
}

absl::StatusOr<std::vector<std::string>> SqliteJobStore::UnfinishedUsingModel(
    absl::string_view model) const {
  return UnfinishedUsing("model", model);
}

absl::StatusOr<std::vector<std::string>> SqliteJobStore::UnfinishedUsing(
    absl::string_view kind, absl::string_view name) const {
  return SelectAll(connection_, ReadText,
                   "SELECT j.id FROM job_uses u JOIN jobs j"
                   " ON j.sequence = u.job WHERE u.kind = ? AND u.name = ?"
                   " AND j.state < ? ORDER BY u.job",
                   kind, name, JobState::kSucceeded);
}

absl::StatusOr<int64_t> SqliteJobStore::FindSequence(
    absl::string_view job_id) const {
  return SelectOne(connection_, NotFound("job", job_id), ReadInt64,
                   "SELECT sequence FROM jobs WHERE id = ?", job_id);
}

}  // namespace attune::storage
