#ifndef ATTUNE_SERVER_CORE_CANCELLATION_H_
#define ATTUNE_SERVER_CORE_CANCELLATION_H_

#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attune::core {

// Tells the parts of one call that its caller has gone. Thread-safe.
class Cancellation {
 public:
  // Runs what was added, once.
  void Cancel() {
    std::vector<std::function<void()>> listeners;
    {
      absl::MutexLock lock(&mutex_);
      cancelled_ = true;
      listeners.swap(listeners_);
    }
    for (auto& listener : listeners) listener();
  }

  // Runs `listener` at the cancellation, at once after it. It must be harmless
  // when there is nothing left to cancel.
  void Add(std::function<void()> listener) {
    {
      absl::MutexLock lock(&mutex_);
      if (!cancelled_) {
        listeners_.push_back(std::move(listener));
        return;
      }
    }
    listener();
  }

 private:
  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_CANCELLATION_H_
