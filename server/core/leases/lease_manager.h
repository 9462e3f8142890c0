#ifndef ATTUNE_SERVER_CORE_LEASES_LEASE_MANAGER_H_
#define ATTUNE_SERVER_CORE_LEASES_LEASE_MANAGER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/core/executor.h"
#include "server/core/jobs/job_moves.h"
#include "server/core/jobs/job_signals.h"
#include "server/core/leases/lease_table.h"
#include "server/core/leases/leased_task.h"
#include "server/core/leases/worker_registry.h"
#include "server/core/metrics.h"
#include "storage/state_store.h"

namespace attune::core {

// Hands queued jobs to workers that ask, oldest first, and takes them back from
// workers that are not heard of. A worker holds one lease at a time.
// Thread-safe.
class LeaseManager {
 public:
  // Runs once, on a thread that may block: a task; none when none came in
  // time; or an error.
  using LeaseCallback =
      absl::AnyInvocable<void(absl::StatusOr<std::optional<LeasedTask>>)>;

  // The arguments outlive the manager, and `executor` is shut down before it
  // is destroyed.
  LeaseManager(storage::StateStore& state, const Clock& clock,
               Executor& executor, WorkerRegistry& workers, LeaseTable& leases,
               JobSignals& signals, Metrics& metrics, LeaseOptions options);
  ~LeaseManager();
  LeaseManager(const LeaseManager&) = delete;
  LeaseManager& operator=(const LeaseManager&) = delete;

  // At start: gives every lease that the database knows one fresh term, and
  // every job in BACKOFF its delay again. Blocks on the disk.
  absl::Status Recover();

  // Waits up to `wait` for a task, without holding a thread. A worker that
  // asks has no task: a lease that it still holds (the answer was lost, or the
  // worker restarted) is handed back first. Returns a number for CancelWait;
  // `done` gets NOT_FOUND, reason WORKER_UNKNOWN, or INVALID_ARGUMENT for a
  // worker without the role.
  int64_t WaitForTask(absl::string_view worker_id, absl::Duration wait,
                      LeaseCallback done);

  // The caller is gone: it gets no task. Its callback is dropped, or runs with
  // "no task".
  void CancelWait(int64_t wait_id);

  // Answers all who wait, now and later, with "no task": the server stops.
  void StopWaits();

  // Puts a task that did not reach its worker back into the queue; no failure.
  void HandBack(const LeasedTask& task);

  // Extends a lease and says what the server wants, from memory alone.
  // LEASE_LOST.
  absl::StatusOr<Wish> Heartbeat(absl::string_view token, int64_t step,
                                 int64_t total_steps);

  // What time brings: leases that are over, delays that are over, waits that
  // are over, request_ids to forget. Blocks on the disk; called every
  // 100 ms or so by one thread.
  absl::Status Tick();

  const LeaseOptions& options() const { return options_; }

 private:
  struct Wait {
    int64_t id = 0;
    std::string worker_id;
    absl::Duration deadline;  // monotonic
    LeaseCallback done;
  };

  // Has Dispatch run on the executor, unless it will look again anyway.
  void Wake();
  // Gives queued jobs to those who wait until one of the two runs out.
  void Dispatch();
  // The wait to serve next. Nothing: Dispatch is over.
  std::optional<Wait> TakeWait();
  // Answers a served wait, or puts it back when there was no task. Whether
  // Dispatch goes on.
  bool Serve(Wait wait, absl::StatusOr<std::optional<LeasedTask>> task);
  // Leases the oldest queued job, if any.
  absl::StatusOr<std::optional<LeasedTask>> LeaseOldest(
      absl::string_view worker_id);
  // Ends a lease whose worker does not have the job, or is gone.
  absl::Status Release(const Lease& lease, AttemptEnd end,
                       absl::string_view message);
  absl::Status EndBackoff(absl::string_view job_id);
  void ExpireWaits();

  storage::StateStore& state_;
  const Clock& clock_;
  Executor& executor_;
  WorkerRegistry& workers_;
  LeaseTable& leases_;
  JobSignals& signals_;
  Metrics& metrics_;
  const LeaseOptions options_;

  absl::Mutex mutex_;
  int64_t next_wait_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<int64_t, Wait> waits_ ABSL_GUARDED_BY(mutex_);
  // The wait that is being served, 0 for none, whose it is and whether nobody
  // waits for its answer any more.
  int64_t served_wait_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string served_worker_ ABSL_GUARDED_BY(mutex_);
  bool served_wait_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool dispatching_ ABSL_GUARDED_BY(mutex_) = false;
  bool dispatch_again_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration next_purge_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_LEASES_LEASE_MANAGER_H_
