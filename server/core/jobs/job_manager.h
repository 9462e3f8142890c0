#ifndef ATTUNE_SERVER_CORE_JOBS_JOB_MANAGER_H_
#define ATTUNE_SERVER_CORE_JOBS_JOB_MANAGER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "server/core/idempotency.h"
#include "server/core/jobs/job_signals.h"
#include "server/core/jobs/train_spec.h"
#include "server/core/leases/lease_table.h"
#include "server/core/leases/worker_registry.h"
#include "storage/state_store.h"

namespace attune::core {

// What a watcher has seen of a job.
struct WatchPosition {
  int64_t step = 0;   // of the last metric row
  int64_t event = 0;  // number of the last event
};

// A job now, and what was added since a position; at most 1,000 rows and
// events, `more` when there are others.
struct JobUpdate {
  storage::Job job;
  std::vector<storage::MetricRow> metrics;
  std::vector<storage::JobEvent> events;
  WatchPosition position;
  bool more = false;
};

// Training and evaluation jobs as their owners see them. Thread-safe; blocks
// on the disk.
class JobManager {
 public:
  // The arguments outlive the manager.
  JobManager(storage::StateStore& state, const Clock& clock,
             const WorkerRegistry& workers, LeaseTable& leases,
             JobSignals& signals)
      : state_(state),
        clock_(clock),
        workers_(workers),
        leases_(leases),
        signals_(signals) {}

  // Queues a job once a key. INVALID_ARGUMENT naming every wrong field, or
  // with reason TEXT_TOO_LONG naming the example; NOT_FOUND for dataset and
  // version; FAILED_PRECONDITION with reason DATASET_NOT_SEALED,
  // EMPTY_DATASET, BASE_HAS_HEAD or one of CheckTrainingData; the errors of
  // ApplyOnce.
  absl::StatusOr<storage::Job> CreateTrain(const TrainRequest& request,
                                           const RequestKey& key);
  absl::StatusOr<storage::Job> CreateEvaluate(const EvaluateRequest& request,
                                              const RequestKey& key);

  // The job with its progress and why it waits. NOT_FOUND; validations are not
  // jobs in this sense.
  absl::StatusOr<storage::Job> Get(absl::string_view id) const;

  // Newest first, those with a sequence below `before` (0: all).
  absl::StatusOr<std::vector<storage::Job>> List(
      int64_t before, int limit,
      absl::Span<const storage::JobState> states) const;

  // Ends a job that waits, and asks the worker of a running one to stop. OK
  // for a cancelled job; FAILED_PRECONDITION, reason JOB_ENDED, for one that
  // ended otherwise.
  absl::StatusOr<storage::Job> Cancel(absl::string_view id,
                                      const RequestKey& key);

  // Pauses a job that waits, and asks the worker of a running one to store a
  // checkpoint and stop. OK for a paused or pausing job; FAILED_PRECONDITION,
  // reason JOB_ENDED or JOB_CANCELLING.
  absl::StatusOr<storage::Job> Pause(absl::string_view id,
                                     const RequestKey& key);

  // Queues a paused job. OK for one that is queued, running or in back-off;
  // FAILED_PRECONDITION, reason JOB_ENDED, JOB_CANCELLING or JOB_PAUSING.
  absl::StatusOr<storage::Job> Resume(absl::string_view id,
                                      const RequestKey& key);

  // Queues a new job with the spec of one that failed or was cancelled; it has
  // that job's last checkpoints, and metric rows up to the newest of them.
  // FAILED_PRECONDITION, reason JOB_NOT_ENDED, JOB_SUCCEEDED or INPUT_CHANGED;
  // NOT_FOUND for the job, and for an input that is gone.
  absl::StatusOr<storage::Job> Retry(absl::string_view id,
                                     const RequestKey& key);

  // What a watcher who stands at `position` has not seen. NOT_FOUND.
  absl::StatusOr<JobUpdate> Update(absl::string_view id,
                                   WatchPosition position) const;

  // NOT_FOUND without the job. Rows and events in their order, after
  // `after_step` and `after_number`; checkpoints newest first.
  absl::StatusOr<std::vector<storage::MetricRow>> ListMetrics(
      absl::string_view id, int64_t after_step, int limit) const;
  absl::StatusOr<std::vector<storage::JobEvent>> ListEvents(
      absl::string_view id, int64_t after_number, int limit) const;
  absl::StatusOr<std::vector<storage::Checkpoint>> ListCheckpoints(
      absl::string_view id) const;

  // Of one version that the job evaluated (a selector), or for "" of the first.
  // NOT_FOUND without the job or before it has figures.
  absl::StatusOr<storage::Evaluation> GetEvaluation(
      absl::string_view id, absl::string_view model) const;
  // Newest first, ids below `before` (0: all), without the figures of parts;
  // the filter's model may be a selector.
  absl::StatusOr<std::vector<storage::Evaluation>> ListEvaluations(
      storage::EvaluationFilter filter, int64_t before, int limit) const;

  // Jobs and validations by state; states without any are absent.
  absl::StatusOr<std::map<storage::JobState, int64_t>> CountByState() const;

 private:
  absl::StatusOr<storage::Job> CreateOnce(
      storage::JobSpec spec, const std::vector<std::string>& input_digests,
      const RequestKey& key);
  // The job that an earlier call with this key has made, if any.
  absl::StatusOr<std::optional<storage::Job>> FindEarlier(
      const RequestKey& key) const;
  // A move that a user asked for: `move` changes the job, once a key.
  absl::StatusOr<storage::Job> MoveOnce(
      absl::string_view id, const RequestKey& key,
      absl::FunctionRef<absl::Status(storage::StateTransaction&, storage::Job&,
                                     absl::Time, std::vector<JobMove>&)>
          move);
  // A job that is no validation.
  static absl::StatusOr<storage::Job> Find(
      storage::StateTransaction& transaction, absl::string_view id);
  // Adds progress and the reason of waiting.
  absl::Status Describe(storage::StateTransaction& transaction,
                        storage::Job& job) const;

  storage::StateStore& state_;
  const Clock& clock_;
  const WorkerRegistry& workers_;
  LeaseTable& leases_;
  JobSignals& signals_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_JOBS_JOB_MANAGER_H_
