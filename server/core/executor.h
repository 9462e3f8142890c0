#ifndef ATTUNE_SERVER_CORE_EXECUTOR_H_
#define ATTUNE_SERVER_CORE_EXECUTOR_H_

#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace attune::core {

// A fixed number of threads for work that blocks on the disk, so that nothing
// blocks in a gRPC callback. Thread-safe.
//
// Work that waits for an event (a queued task, a batch) must not sit here: it
// would keep a thread from those who make the event happen.
class Executor {
 public:
  // REQUIRES: threads > 0.
  explicit Executor(int threads);
  // Shuts down.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Runs `work` once on one of the threads; work is begun in the order of
  // submission. False after Shutdown: then `work` is destroyed without a run.
  [[nodiscard]] bool Submit(absl::AnyInvocable<void()> work);

  // Runs what was submitted, refuses what comes after and joins the threads.
  // May be called again. REQUIRES: not on one of its threads.
  void Shutdown();

 private:
  void Run();

  absl::Mutex mutex_;
  std::deque<absl::AnyInvocable<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_EXECUTOR_H_
