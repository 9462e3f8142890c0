#ifndef ATTUNE_STORAGE_SQLITE_JOB_STORE_H_
#define ATTUNE_STORAGE_SQLITE_JOB_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "storage/sqlite/connection.h"
#include "storage/state_store.h"

namespace attune::storage {

// The tables jobs, job_uses, metrics, events, checkpoints and evaluations in
// the transaction that runs on `connection`.
class SqliteJobStore : public JobStore {
 public:
  explicit SqliteJobStore(Connection& connection) : connection_(connection) {}

  // job_store.cc
  absl::Status Insert(Job& job) override;
  absl::Status Update(const Job& job) override;
  absl::StatusOr<Job> Get(absl::string_view id) const override;
  absl::StatusOr<std::vector<Job>> List(
      int64_t before, int limit,
      absl::Span<const JobState> states) const override;
  absl::StatusOr<std::optional<Job>> OldestQueued() const override;
  absl::StatusOr<int64_t> CountQueuedBefore(int64_t sequence) const override;
  absl::StatusOr<std::vector<Job>> ListInState(JobState state,
                                               int limit) const override;
  absl::StatusOr<int64_t> CountInState(JobState state) const override;
  absl::StatusOr<std::vector<std::string>> UnfinishedUsingDataset(
      absl::string_view dataset) const override;
  absl::StatusOr<std::vector<std::string>> UnfinishedUsingModel(
      absl::string_view model) const override;

  // job_progress.cc
  absl::Status PutMetrics(absl::string_view job_id,
                          absl::Span<const MetricRow> rows) override;
  absl::Status DeleteMetricsAfter(absl::string_view job_id,
                                  int64_t step) override;
  absl::Status CopyMetrics(absl::string_view from_job_id,
                           absl::string_view to_job_id,
                           int64_t last_step) override;
  absl::StatusOr<std::vector<MetricRow>> ListMetrics(absl::string_view job_id,
                                                     int64_t after_step,
                                                     int limit) const override;
  absl::Status AddEvent(absl::string_view job_id,
                        const JobEvent& event) override;
  absl::StatusOr<std::vector<JobEvent>> ListEvents(absl::string_view job_id,
                                                   int64_t after_number,
                                                   int limit) const override;
  absl::Status PutCheckpoint(const Checkpoint& checkpoint) override;
  absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(
      absl::string_view job_id) const override;
  absl::Status DeleteCheckpoint(absl::string_view job_id,
                                int64_t step) override;
  absl::Status InsertEvaluation(const Evaluation& evaluation) override;
  absl::StatusOr<Evaluation> GetEvaluation(
      absl::string_view job_id, absl::string_view model) const override;
  absl::StatusOr<std::vector<Evaluation>> ListEvaluations(
      const EvaluationFilter& filter, int64_t before, int limit) const override;

 private:
  // The job's row number.
  absl::StatusOr<int64_t> FindSequence(absl::string_view job_id) const;
  absl::StatusOr<std::vector<std::string>> UnfinishedUsing(
      absl::string_view kind, absl::string_view name) const;

  Connection& connection_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_JOB_STORE_H_
