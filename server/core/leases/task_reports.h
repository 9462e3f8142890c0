#ifndef ATTUNE_SERVER_CORE_LEASES_TASK_REPORTS_H_
#define ATTUNE_SERVER_CORE_LEASES_TASK_REPORTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "server/core/jobs/job_moves.h"
#include "server/core/jobs/job_signals.h"
#include "server/core/leases/lease_table.h"
#include "server/core/leases/worker_registry.h"
#include "server/core/metrics.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::core {

struct TrainOutput {
  storage::VersionSource source = storage::VersionSource::kLastIterate;
  storage::TensorManifest manifest;
};

struct EvaluateResult {
  std::vector<storage::Figure> figures;
  std::vector<storage::Figure> against_figures;
  std::vector<storage::FigureComparison> comparisons = {};
};

struct TrainResult {
  std::vector<TrainOutput> outputs;  // the average, then the last iterate
  // Of the outputs, in their order; of the first alone from an older worker.
  std::vector<EvaluateResult> evaluations;
  std::optional<int64_t> steps_done = {};  // unset: all
  std::string note = {};                   // one sentence or none
  std::optional<storage::StoredEmbeddings> embeddings = {};
};

struct ValidateResult {
  std::vector<storage::InvalidExample> invalid_examples;  // at most 100
  int64_t invalid_example_count = 0;
};

using TaskResult = std::variant<TrainResult, EvaluateResult, ValidateResult>;

enum class FailureKind {
  kRetryable = 1,  // counts; tried again after a delay
  kPermanent = 2,  // the job ends
  kHandBack = 3,   // the worker stops or was asked to; no failure
};

// The job that a token holds now: LEASE_LOST.
absl::StatusOr<storage::Job> LeasedJob(storage::StateTransaction& transaction,
                                       absl::string_view token);

// What workers write about the tasks that they hold. Every function checks the
// lease token in the transaction that applies the write: ABORTED, reason
// LEASE_LOST, without any effect, when it is not the token of the job's present
// attempt. Thread-safe; blocks on the disk.
class TaskReports {
 public:
  // The arguments outlive the object.
  TaskReports(storage::StateStore& state, storage::BlobStore& blobs,
              const Clock& clock, WorkerRegistry& workers, LeaseTable& leases,
              JobSignals& signals, Metrics& metrics, LeaseOptions options)
      : state_(state),
        blobs_(blobs),
        clock_(clock),
        workers_(workers),
        leases_(leases),
        signals_(signals),
        metrics_(metrics),
        options_(options) {}

  // Whether the token may write now.
  absl::Status Check(absl::string_view token) const;

  // Stores at most 1,000 rows and the progress; total_steps 0: unknown. The
  // notes become events, each once an attempt. INVALID_ARGUMENT naming the row
  // or the note.
  absl::Status AddMetrics(absl::string_view token,
                          std::vector<storage::MetricRow> rows,
                          int64_t total_steps,
                          const std::vector<std::string>& notes = {});

  // Removes checkpoints that came with the task and that its worker could not
  // use, by their steps; those that are not there, and those that this attempt
  // has made, are passed over.
  absl::Status DropCheckpoints(absl::string_view token,
                               absl::Span<const int64_t> steps);

  // Makes a resumable state of the job. The last two are kept, and the one with
  // the smallest loss. FAILED_PRECONDITION, reason BLOB_MISSING;
  // INVALID_ARGUMENT.
  absl::Status CommitCheckpoint(absl::string_view token, int64_t step,
                                storage::TensorManifest manifest,
                                absl::string_view worker_state);

  // Ends the task: its results appear and the job has succeeded, in one
  // transaction. Returns the versions made, as NAME:N; the same again when it
  // is repeated. A job that was asked to pause has succeeded all the same; one
  // that was asked to cancel is cancelled instead and makes none.
  // INVALID_ARGUMENT, reason INVALID_RESULT, when the result is not one of such
  // a task; FAILED_PRECONDITION, reason BLOB_MISSING.
  absl::StatusOr<std::vector<std::string>> Complete(absl::string_view token,
                                                    const TaskResult& result);

  // Ends the attempt: back into the queue, at once or after a delay, or the end
  // of the job after the last failure allowed.
  absl::Status Fail(absl::string_view token, FailureKind kind,
                    absl::string_view reason, absl::string_view message);

 private:
  // What can be found out about a result before the transaction that applies
  // it.
  struct Completion {
    bool repeated = false;  // the same token has completed the job already
    std::vector<std::string> versions;  // of a repeated call
    std::string dataset_digest;         // of a validated dataset
  };

  absl::StatusOr<Completion> PrepareCompletion(absl::string_view token,
                                               const TaskResult& result) const;
  // After the commit that took a job from its worker.
  void Released(const storage::Job& job, absl::string_view worker_id,
                const std::vector<JobMove>& moves);

  storage::StateStore& state_;
  storage::BlobStore& blobs_;
  const Clock& clock_;
  WorkerRegistry& workers_;
  LeaseTable& leases_;
  JobSignals& signals_;
  Metrics& metrics_;
  const LeaseOptions options_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_LEASES_TASK_REPORTS_H_
