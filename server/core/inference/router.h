#ifndef ATTUNE_SERVER_CORE_INFERENCE_ROUTER_H_
#define ATTUNE_SERVER_CORE_INFERENCE_ROUTER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/core/inference/batcher.h"
#include "server/core/inference/inference.h"
#include "server/core/inference/placement.h"
#include "server/core/metrics.h"
#include "server/core/timers.h"

namespace attune::core {

struct RouterOptions {
  BatcherOptions batcher;
  // Batches that a worker has at a time: one that it computes and one that is
  // on its way.
  int max_batches_in_flight = 2;
  // How long a call waits for a first worker.
  absl::Duration no_worker_wait = absl::Seconds(5);
  // The deadline of a call that names none.
  absl::Duration default_deadline = absl::Minutes(5);
  // Workers that get an input before it fails: a worker that died may have
  // died of it.
  int max_attempts = 2;
};

// Sends every input to a worker that has its version, and has versions loaded
// where there is a demand: all workers share the batcher's queues.
// Thread-safe; nothing blocks.
class Router {
 public:
  // The arguments outlive the router; timers may fire after its end.
  Router(const RouterOptions& options, const Clock& clock, Timers& timers,
         Metrics& metrics);
  ~Router();

  using Ticket = std::shared_ptr<InferenceGroup>;

  // Embeds the inputs (at least one) and calls `done` with as many embeddings,
  // or with
  //   RESOURCE_EXHAUSTED QUEUE_FULL     no room in the queue
  //   UNAVAILABLE NO_WORKER             nobody serves
  //   UNAVAILABLE MODEL_NOT_LOADED      not loaded within the deadline
  //   UNAVAILABLE WORKER_LOST           workers died over it
  //   UNAVAILABLE DRAINING              the server stops
  //   DEADLINE_EXCEEDED, CANCELLED
  // or the error of the worker that could not load the version or compute the
  // batch; the UNAVAILABLE ones say when to try again. `timeout` is what is
  // left of the call's deadline.
  Ticket Submit(std::shared_ptr<const ServedVersion> version, InputKind kind,
                std::vector<InferenceInput> inputs, absl::Duration timeout,
                EmbeddingsCallback done);
  // The caller has gone: what has not been sent is dropped, and `done` gets
  // CANCELLED unless it ran already.
  void Cancel(const Ticket& ticket);

  // A worker came. `link` is used until RemoveWorker returns. The result
  // names the worker in the calls below.
  int64_t AddWorker(const ServingWorker& worker, WorkerLink* link);
  // It went: what it did not answer goes to others.
  void RemoveWorker(int64_t session);
  void OnLoadResult(int64_t session, const std::string& version_digest,
                    const absl::Status& status);
  // INVALID_ARGUMENT, reason INVALID_BATCH_RESULT, when the answer does not
  // fit the batch; the batch counts as not answered.
  absl::Status OnBatchAnswer(int64_t session, const BatchAnswer& answer);

  // Ends every unfinished call with DRAINING, and those that come.
  void Stop();

  // Hears which versions (NAME:N, sorted) a worker has, whenever that
  // changes. Called with the router's lock held: it must not block nor call
  // the router. REQUIRES: called before the first worker comes.
  using LoadedListener = std::function<void(const std::string& worker_id,
                                            std::vector<std::string> versions)>;
  void SetLoadedListener(LoadedListener listener);

  // The versions that some worker has, as NAME:N, sorted and distinct.
  std::vector<std::string> LoadedVersions() const;
  int64_t QueueDepth() const;

 private:
  // What runs once the lock is released.
  struct Completion {
    EmbeddingsCallback done;
    absl::StatusOr<Embeddings> result;
  };
  using Completions = std::vector<Completion>;
  struct Connection {
    WorkerLink* link = nullptr;
    std::map<int64_t, InferenceBatch> batches;  // not answered
  };
  // Outlives the router, so that a late timer finds out that it is gone.
  struct Lifeline {
    absl::Mutex mutex;
    Router* router ABSL_GUARDED_BY(mutex);
  };

  static void Run(Completions completions);
  void ReportLoaded(const std::string& worker_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnTimer();

  // Ends a group; OK means with its result.
  void Finish(InferenceGroup& group, absl::Status status,
              Completions& completions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `values` are read unless the input failed; it fails when one of them is
  // not finite.
  void Answer(const InferenceItem& item, absl::Status error,
              const float* values, Completions& completions)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Retry(InferenceBatch batch, Completions& completions)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Does whatever can be done now and asks to be called when more can be.
  void Advance(Completions& completions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has a group looked at again at `time`.
  void CheckAt(absl::Duration time, Ticket group)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CheckGroups(absl::Duration now, Completions& completions)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The error of a group that has waited long enough, or OK and when to look
  // again.
  absl::Status CheckGroup(const InferenceGroup& group, absl::Duration now,
                          absl::Duration* next) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LoadVersions(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False when there is no batch that can go now.
  bool SendOneBatch(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeUp(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RouterOptions options_;
  const Clock& clock_;
  Timers& timers_;
  Metrics& metrics_;
  const std::shared_ptr<Lifeline> lifeline_;

  mutable absl::Mutex mutex_;
  Batcher batcher_ ABSL_GUARDED_BY(mutex_);
  Placement placement_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, Connection> connections_ ABSL_GUARDED_BY(mutex_);
  // Unfinished groups by the time when they are looked at again.
  std::multimap<absl::Duration, Ticket> groups_ ABSL_GUARDED_BY(mutex_);
  // Since when there is no worker, while there is none.
  absl::Duration no_worker_since_ ABSL_GUARDED_BY(mutex_);
  // Timers that are set and have not fired.
  std::set<absl::Duration> wake_ups_ ABSL_GUARDED_BY(mutex_);
  LoadedListener loaded_listener_ ABSL_GUARDED_BY(mutex_);
  int64_t next_session_ ABSL_GUARDED_BY(mutex_) = 1;
  int64_t next_batch_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_ROUTER_H_
