#ifndef ATTUNE_SERVER_CORE_JOBS_JOB_SIGNALS_H_
#define ATTUNE_SERVER_CORE_JOBS_JOB_SIGNALS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/core/metrics.h"
#include "storage/records.h"

namespace attune::core {

// A change of state that a transaction has made.
struct JobMove {
  std::string job_id;
  storage::JobState from;
  storage::JobState to;
};

// Tells those who wait that a job has changed, so that nobody polls the
// database: the watchers of one job, and the one who hands out queued jobs.
// Thread-safe. Listeners run on the thread that made the change, with a lock
// held: they must not block nor call JobSignals.
class JobSignals {
 public:
  using Listener = std::function<void()>;

  explicit JobSignals(Metrics& metrics) : metrics_(metrics) {}

  // Calls `listener` after every change of the job until Unwatch.
  int64_t Watch(absl::string_view job_id, Listener listener);
  // The listener does not run any more when this returns.
  void Unwatch(int64_t id);

  // Called when a job has become QUEUED. An empty listener removes it.
  void SetQueueListener(Listener listener);

  // After the commit of a transaction that made these moves.
  void Moved(const std::vector<JobMove>& moves);
  // A job is new in the queue.
  void Queued(absl::string_view job_id);
  // Metrics, progress or an event were added.
  void Changed(absl::string_view job_id);

 private:
  Metrics& metrics_;
  absl::Mutex mutex_;
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  // By job id and watch id.
  std::map<std::pair<std::string, int64_t>, Listener> watchers_
      ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::string> watched_job_ ABSL_GUARDED_BY(mutex_);
  Listener queue_listener_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_JOBS_JOB_SIGNALS_H_
