#ifndef ATTUNE_COMMON_TIMED_MUTEX_H_
#define ATTUNE_COMMON_TIMED_MUTEX_H_

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attune {

// An absl::Mutex whose timed waits run on the monotonic clock. Those of the
// distributions' Abseil (20220623) end at a moment of wall time: when the clock
// is set back by an hour meanwhile, they take an hour more, and with them the
// heartbeats and the end of leases. For mutexes with timed waits; it wakes all
// waiters at every unlock, so few threads should wait.
class ABSL_LOCKABLE TimedMutex {
 public:
  TimedMutex() = default;
  TimedMutex(const TimedMutex&) = delete;
  TimedMutex& operator=(const TimedMutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION();
  void Unlock() ABSL_UNLOCK_FUNCTION();

  // Waits, unlocked meanwhile, until `condition` is true. It is evaluated with
  // the mutex locked and may change only while it is.
  void Await(const absl::Condition& condition)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this);
  // Or until `timeout` has passed; whether `condition` is true.
  bool AwaitWithTimeout(const absl::Condition& condition,
                        absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this);

 private:
  std::mutex mutex_;
  std::condition_variable unlocked_;
  int waiters_ = 0;  // guarded by mutex_
};

// Holds a TimedMutex while it lives.
class ABSL_SCOPED_LOCKABLE TimedMutexLock {
 public:
  explicit TimedMutexLock(TimedMutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(*mutex) {
    mutex_.Lock();
  }
  ~TimedMutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  TimedMutexLock(const TimedMutexLock&) = delete;
  TimedMutexLock& operator=(const TimedMutexLock&) = delete;

 private:
  TimedMutex& mutex_;
};

}  // namespace attune

#endif  // ATTUNE_COMMON_TIMED_MUTEX_H_
