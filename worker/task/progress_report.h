#ifndef ATTUNE_WORKER_TASK_PROGRESS_REPORT_H_
#define ATTUNE_WORKER_TASK_PROGRESS_REPORT_H_

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "worker/supervise/child_protocol.h"

namespace attune::task {

// What a task tells its parent: how far it is, and that it gets on while the
// steps do not. The parent takes a task that says nothing for one that hangs,
// so both are called only for work that is done. Thread-safe.
class ProgressReport {
 public:
  explicit ProgressReport(std::function<void(const supervise::Progress&)> send,
                          const Clock& clock = Clock::Real())
      : send_(std::move(send)), clock_(clock) {}

  void Set(const supervise::Progress& progress) {
    absl::MutexLock lock(&mutex_);
    progress_ = progress;
    Send();
  }

  // A piece of work that is no step: a picture, a chunk of a blob. Sent at
  // most once a second.
  void Worked() {
    absl::MutexLock lock(&mutex_);
    if (clock_.MonotonicNow() - sent_at_ >= absl::Seconds(1)) Send();
  }

 private:
  void Send() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    sent_at_ = clock_.MonotonicNow();
    send_(progress_);
  }

  const std::function<void(const supervise::Progress&)> send_;
  const Clock& clock_;
  absl::Mutex mutex_;
  supervise::Progress progress_ ABSL_GUARDED_BY(mutex_);
  absl::Duration sent_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_PROGRESS_REPORT_H_
