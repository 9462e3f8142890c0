// What jobs leave behind: metrics, events, checkpoints and evaluations.

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/job_store.h"
#include "storage/sqlite/manifest_table.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/record_json.h"

namespace attune::storage {
namespace {

MetricRow ReadMetricRow(Row& row) {
  MetricRow metrics;
  metrics.step = row.Int64();
  metrics.attempt = row.Int32();
  metrics.time = row.Time();
  metrics.epoch = row.Real();
  metrics.loss = row.OptionalReal();
  metrics.objective_loss = row.OptionalReal();
  metrics.kl = row.OptionalReal();
  metrics.preferred_log_ratio = row.OptionalReal();
  metrics.rejected_log_ratio = row.OptionalReal();
  metrics.margin = row.OptionalReal();
  metrics.pair_accuracy = row.OptionalReal();
  metrics.logit_scale = row.OptionalReal();
  metrics.learning_rate = row.OptionalReal();
  metrics.gradient_norm = row.OptionalReal();
  metrics.examples_per_second = row.OptionalReal();
  return metrics;
}

JobEvent ReadEvent(Row& row) {
  JobEvent event;
  event.number = row.Int64();
  event.time = row.Time();
  event.attempt = row.Int32();
  event.message = row.Text();
  return event;
}

constexpr absl::string_view kSelectEvaluation =
    "SELECT e.id, j.id, e.create_time, e.dataset, e.dataset_digest, e.model,"
    " e.against, json_extract(j.spec, '$.evaluate.t'), e.figures,"
    " e.against_figures, e.comparisons"
    " FROM evaluations e JOIN jobs j ON j.sequence = e.job";

Evaluation ReadEvaluation(Row& row) {
  Evaluation evaluation;
  evaluation.id = row.Int64();
  evaluation.job_id = row.Text();
  evaluation.create_time = row.Time();
  evaluation.dataset = row.Text();
  evaluation.dataset_digest = row.Text();
  evaluation.model = row.Text();
  evaluation.against = row.Text();
  evaluation.t = row.OptionalReal();
  evaluation.figures = FromJson<std::vector<Figure>>(row.Text());
  evaluation.against_figures = FromJson<std::vector<Figure>>(row.Text());
  evaluation.comparisons = FromJson<std::vector<FigureComparison>>(row.Text());
  return evaluation;
}

// Row by row, so that never more than one has its parts in memory.
Evaluation ReadEvaluationWithoutParts(Row& row) {
  Evaluation evaluation = ReadEvaluation(row);
  for (std::vector<Figure>* figures :
       {&evaluation.figures, &evaluation.against_figures}) {
    std::erase_if(*figures,
                  [](const Figure& figure) { return figure.of_a_part(); });
    figures->shrink_to_fit();
  }
  std::erase_if(evaluation.comparisons, [](const FigureComparison& comparison) {
    return comparison.difference.of_a_part();
  });
  evaluation.comparisons.shrink_to_fit();
  return evaluation;
}

}  // namespace

absl::Status SqliteJobStore::PutMetrics(absl::string_view job_id,
                                        absl::Span<const MetricRow> rows) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(job_id));
  // An attempt never replaces what a later one has written.
  for (const MetricRow& row : rows) {
    ATTUNE_RETURN_IF_ERROR(Execute(
        connection_,
        "INSERT INTO metrics VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job, step) DO UPDATE SET attempt = excluded.attempt,"
        " time = excluded.time, epoch = excluded.epoch, loss = excluded.loss,"
        " objective_loss = excluded.objective_loss, kl = excluded.kl,"
        " preferred_log_ratio = excluded.preferred_log_ratio,"
        " rejected_log_ratio = excluded.rejected_log_ratio,"
        " margin = excluded.margin, pair_accuracy = excluded.pair_accuracy,"
        " logit_scale = excluded.logit_scale,"
        " learning_rate = excluded.learning_rate,"
        " gradient_norm = excluded.gradient_norm,"
        " examples_per_second = excluded.examples_per_second"
        " WHERE excluded.attempt >= attempt",
        job, row.step, row.attempt, row.time, row.epoch, row.loss,
        row.objective_loss, row.kl, row.preferred_log_ratio,
        row.rejected_log_ratio, row.margin, row.pair_accuracy, row.logit_scale,
        row.learning_rate, row.gradient_norm, row.examples_per_second));
  }
  return absl::OkStatus();
}

absl::Status SqliteJobStore::DeleteMetricsAfter(absl::string_view job_id,
                                                int64_t step) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(job_id));
  return Execute(connection_, "DELETE FROM metrics WHERE job = ? AND step > ?",
                 job, step);
}

absl::Status SqliteJobStore::CopyMetrics(absl::string_view from_job_id,
                                         absl::string_view to_job_id,
                                         int64_t last_step) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t from, FindSequence(from_job_id));
  ATTUNE_ASSIGN_OR_RETURN(const int64_t to, FindSequence(to_job_id));
  return Execute(connection_,
                 "INSERT INTO metrics SELECT ?, step, 0, time, epoch, loss,"
                 " objective_loss, kl, preferred_log_ratio,"
                 " rejected_log_ratio, margin, pair_accuracy, logit_scale,"
                 " learning_rate, gradient_norm, examples_per_second"
                 " FROM metrics WHERE job = ? AND step <= ?",
                 to, from, last_step);
}

absl::StatusOr<std::vector<MetricRow>> SqliteJobStore::ListMetrics(
    absl::string_view job_id, int64_t after_step, int limit) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(job_id));
  return SelectAll(connection_, ReadMetricRow,
                   "SELECT step, attempt, time, epoch, loss, objective_loss,"
                   " kl, preferred_log_ratio, rejected_log_ratio, margin,"
                   " pair_accuracy, logit_scale, learning_rate, gradient_norm,"
                   " examples_per_second FROM metrics"
                   " WHERE job = ? AND step > ? ORDER BY step LIMIT ?",
                   job, after_step, limit);
}

absl::Status SqliteJobStore::AddEvent(absl::string_view job_id,
                                      const JobEvent& event) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(job_id));
  return Execute(connection_,
                 "INSERT INTO events (job, number, time, attempt, message)"
                 " SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4"
                 " FROM events WHERE job = ?1",
                 job, event.time, event.attempt, event.message);
}

absl::StatusOr<std::vector<JobEvent>> SqliteJobStore::ListEvents(
    absl::string_view job_id, int64_t after_number, int limit) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(job_id));
  return SelectAll(connection_, ReadEvent,
                   "SELECT number, time, attempt, message FROM events"
                   " WHERE job = ? AND number > ? ORDER BY number LIMIT ?",
                   job, after_number, limit);
}

absl::Status SqliteJobStore::PutCheckpoint(const Checkpoint& checkpoint) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(checkpoint.job_id));
  ATTUNE_RETURN_IF_ERROR(DeleteCheckpoint(checkpoint.job_id, checkpoint.step));
  ATTUNE_ASSIGN_OR_RETURN(
      const int64_t manifest,
      InsertManifest(connection_, std::nullopt, checkpoint.manifest));
  return Execute(connection_,
                 "INSERT INTO checkpoints (job, step, attempt, create_time,"
                 " manifest, state) VALUES (?, ?, ?, ?, ?, ?)",
                 job, checkpoint.step, checkpoint.attempt,
                 checkpoint.create_time, manifest, checkpoint.state);
}

absl::StatusOr<std::vector<Checkpoint>> SqliteJobStore::ListCheckpoints(
    absl::string_view job_id) const {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(job_id));
  std::vector<int64_t> manifests;
  ATTUNE_ASSIGN_OR_RETURN(
      std::vector<Checkpoint> checkpoints,
      SelectAll(
          connection_,
          [&](Row& row) {
            Checkpoint checkpoint;
            checkpoint.job_id = std::string(job_id);
            checkpoint.step = row.Int64();
            checkpoint.attempt = row.Int32();
            checkpoint.create_time = row.Time();
            manifests.push_back(row.Int64());
            checkpoint.state = row.Text();
            return checkpoint;
          },
          "SELECT step, attempt, create_time, manifest, state FROM checkpoints"
          " WHERE job = ? ORDER BY step DESC",
          job));
  for (size_t i = 0; i < checkpoints.size(); ++i) {
    ATTUNE_ASSIGN_OR_RETURN(checkpoints[i].manifest,
                            ReadManifest(connection_, manifests[i]));
  }
  return checkpoints;
}

absl::Status SqliteJobStore::DeleteCheckpoint(absl::string_view job_id,
                                              int64_t step) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(job_id));
  ATTUNE_ASSIGN_OR_RETURN(
      const std::vector<int64_t> manifests,
      SelectAll(connection_, ReadInt64,
                "DELETE FROM checkpoints WHERE job = ? AND step = ?"
                " RETURNING manifest",
                job, step));
  for (const int64_t manifest : manifests) {
    ATTUNE_RETURN_IF_ERROR(DeleteManifest(connection_, manifest));
  }
  return absl::OkStatus();
}

absl::Status SqliteJobStore::InsertEvaluation(const Evaluation& evaluation) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t job, FindSequence(evaluation.job_id));
  absl::Status status = Execute(
      connection_,
      "INSERT INTO evaluations (job, create_time, dataset, dataset_digest,"
      " model, against, figures, against_figures, comparisons)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      job, evaluation.create_time, evaluation.dataset,
      evaluation.dataset_digest, evaluation.model, evaluation.against,
      ToJson(evaluation.figures), ToJson(evaluation.against_figures),
      ToJson(evaluation.comparisons));
  return AlreadyExistsAs(std::move(status), "evaluation of job",
                         evaluation.job_id);
}

absl::StatusOr<Evaluation> SqliteJobStore::GetEvaluation(
    absl::string_view job_id, absl::string_view model) const {
  const absl::Status absent = NotFound("evaluation of job", job_id);
  if (model.empty()) {
    return SelectOne(connection_, absent, ReadEvaluation,
                     absl::StrCat(kSelectEvaluation,
                                  " WHERE j.id = ? ORDER BY e.id LIMIT 1"),
                     job_id);
  }
  return SelectOne(
      connection_, absent, ReadEvaluation,
      absl::StrCat(kSelectEvaluation, " WHERE j.id = ? AND e.model = ?"),
      job_id, model);
}

absl::StatusOr<std::vector<Evaluation>> SqliteJobStore::ListEvaluations(
    const EvaluationFilter& filter, int64_t before, int limit) const {
  if (before == 0) before = std::numeric_limits<int64_t>::max();
  constexpr absl::string_view kPage =
      " AND (?3 = '' OR j.id = ?3) AND e.id < ?1 ORDER BY e.id DESC LIMIT ?2";
  if (filter.model.empty()) {
    return SelectAll(connection_, ReadEvaluationWithoutParts,
                     absl::StrCat(kSelectEvaluation, " WHERE 1", kPage), before,
                     limit, filter.job_id);
  }
  // One "NAME:N", or every one of a NAME: ';' follows ':' in the character set.
  const bool one = filter.model.find(':') != std::string::npos;
  return SelectAll(connection_, ReadEvaluationWithoutParts,
                   absl::StrCat(kSelectEvaluation,
                                " WHERE e.model >= ?4 AND e.model < ?5", kPage),
                   before, limit, filter.job_id,
                   one ? filter.model : absl::StrCat(filter.model, ":"),
                   absl::StrCat(filter.model, one ? "\x01" : ";"));
}

}  // namespace attune::storage
