#include "server/core/timers.h"

#include <utility>

namespace attune::core {

ThreadTimers::ThreadTimers(const Clock& clock)
    : clock_(clock), thread_([this] { Run(); }) {}

ThreadTimers::~ThreadTimers() {
  {
    TimedMutexLock lock(&mutex_);
    stopping_ = true;
    changed_ = true;
  }
  thread_.join();
}

void ThreadTimers::After(absl::Duration delay,
                         absl::AnyInvocable<void()> callback) {
  TimedMutexLock lock(&mutex_);
  callbacks_.emplace(clock_.MonotonicNow() + delay, std::move(callback));
  changed_ = true;
}

void ThreadTimers::Run() {
  TimedMutexLock lock(&mutex_);
  while (!stopping_) {
    const absl::Duration wait =
        callbacks_.empty() ? absl::InfiniteDuration()
                           : callbacks_.begin()->first - clock_.MonotonicNow();
    if (wait > absl::ZeroDuration()) {
      changed_ = false;
      mutex_.AwaitWithTimeout(absl::Condition(&changed_), wait);
      continue;
    }
    auto callback = std::move(callbacks_.begin()->second);
    callbacks_.erase(callbacks_.begin());
    mutex_.Unlock();
    callback();
    mutex_.Lock();
  }
}

}  // namespace attune::core
