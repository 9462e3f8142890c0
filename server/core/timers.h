#ifndef ATTUNE_SERVER_CORE_TIMERS_H_
#define ATTUNE_SERVER_CORE_TIMERS_H_

#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/timed_mutex.h"

namespace attune::core {

// Calls back later. An interface, so that tests move time themselves.
class Timers {
 public:
  virtual ~Timers() = default;
  // Runs `callback` once, `delay` from now, on the timers' thread. It must not
  // block. Dropped without a run when the timers stop first.
  virtual void After(absl::Duration delay,
                     absl::AnyInvocable<void()> callback) = 0;
};

// One thread that sleeps until the next callback is due. Thread-safe.
class ThreadTimers : public Timers {
 public:
  explicit ThreadTimers(const Clock& clock = Clock::Real());
  // Waits for a callback that runs; drops the others.
  ~ThreadTimers() override;

  void After(absl::Duration delay,
             absl::AnyInvocable<void()> callback) override;

 private:
  void Run();

  const Clock& clock_;
  TimedMutex mutex_;
  // By the monotonic time when they are due.
  std::multimap<absl::Duration, absl::AnyInvocable<void()>> callbacks_
      ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_TIMERS_H_
