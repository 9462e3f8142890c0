// Tells ThreadSanitizer what Abseil's locks order. The distribution's Abseil is
// not compiled for it, so that every access under an absl::Mutex would look
// like a race. The linker (--wrap) puts these functions before Abseil's.
//
// What a Condition reads is not checked: another thread may evaluate it inside
// Unlock, after the release has been told.

#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);

namespace {

class IgnoreReads {
 public:
  IgnoreReads() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~IgnoreReads() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

template <typename... Parameters>
void Acquire(void (*real)(void*, Parameters...), void* lock,
             Parameters... parameters) {
  {
    IgnoreReads ignore;
    real(lock, parameters...);
  }
  __tsan_acquire(lock);
}

void Release(void (*real)(void*), void* lock) {
  __tsan_release(lock);
  IgnoreReads ignore;
  real(lock);
}

bool TryAcquire(bool (*real)(void*), void* lock) {
  const bool taken = real(lock);
  if (taken) __tsan_acquire(lock);
  return taken;
}

// Releases the lock while it waits; has it afterwards in any case.
template <typename Result, typename... Parameters>
Result Wait(Result (*real)(void*, Parameters...), void* object, void* lock,
            Parameters... parameters) {
  __tsan_release(lock);
  struct AcquireAtEnd {
    void* lock;
    ~AcquireAtEnd() { __tsan_acquire(lock); }
  } at_end{lock};
  IgnoreReads ignore;
  return real(object, parameters...);
}

}  // namespace

// Abseil's functions by their names in object files: Mutex::Lock() … of the
// inline namespace that Debian and Ubuntu have. `lock` is `this`.
#define ATTUNE_REAL(name) __real__ZN4absl7debian3##name
#define ATTUNE_WRAP(name) __wrap__ZN4absl7debian3##name

extern "C" {

#define ATTUNE_ACQUIRE(name)     \
  void ATTUNE_REAL(name)(void*); \
  void ATTUNE_WRAP(name)(void* lock) { Acquire(ATTUNE_REAL(name), lock); }
ATTUNE_ACQUIRE(5Mutex4LockEv)
ATTUNE_ACQUIRE(5Mutex10ReaderLockEv)

#define ATTUNE_RELEASE(name)     \
  void ATTUNE_REAL(name)(void*); \
  void ATTUNE_WRAP(name)(void* lock) { Release(ATTUNE_REAL(name), lock); }
ATTUNE_RELEASE(5Mutex6UnlockEv)
ATTUNE_RELEASE(5Mutex12ReaderUnlockEv)

#define ATTUNE_TRY(name)                        \
  bool ATTUNE_REAL(name)(void*);                \
  bool ATTUNE_WRAP(name)(void* lock) {          \
    return TryAcquire(ATTUNE_REAL(name), lock); \
  }
ATTUNE_TRY(5Mutex7TryLockEv)
ATTUNE_TRY(5Mutex13ReaderTryLockEv)

#define ATTUNE_ACQUIRE_WHEN(name)                                   \
  void ATTUNE_REAL(name)(void*, const absl::Condition*);            \
  void ATTUNE_WRAP(name)(void* lock, const absl::Condition* when) { \
    Acquire(ATTUNE_REAL(name), lock, when);                         \
  }
ATTUNE_ACQUIRE_WHEN(5Mutex8LockWhenERKNS0_9ConditionE)
ATTUNE_ACQUIRE_WHEN(5Mutex14ReaderLockWhenERKNS0_9ConditionE)

#define ATTUNE_AWAIT(name)                                          \
  void ATTUNE_REAL(name)(void*, const absl::Condition*);            \
  void ATTUNE_WRAP(name)(void* lock, const absl::Condition* when) { \
    Wait(ATTUNE_REAL(name), lock, lock, when);                      \
  }
ATTUNE_AWAIT(5Mutex5AwaitERKNS0_9ConditionE)

#define ATTUNE_AWAIT_UNTIL(name, Limit)                           \
  bool ATTUNE_REAL(name)(void*, const absl::Condition*, Limit);   \
  bool ATTUNE_WRAP(name)(void* lock, const absl::Condition* when, \
                         Limit limit) {                           \
    return Wait(ATTUNE_REAL(name), lock, lock, when, limit);      \
  }
ATTUNE_AWAIT_UNTIL(5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE,
                   absl::Duration)
ATTUNE_AWAIT_UNTIL(5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE,
                   absl::Time)
ATTUNE_AWAIT_UNTIL(5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE,
                   absl::Duration)
ATTUNE_AWAIT_UNTIL(5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE,
                   absl::Time)

#define ATTUNE_CONDVAR_WAIT(name)                       \
  void ATTUNE_REAL(name)(void*, void*);                 \
  void ATTUNE_WRAP(name)(void* condition, void* lock) { \
    Wait(ATTUNE_REAL(name), condition, lock, lock);     \
  }
ATTUNE_CONDVAR_WAIT(7CondVar4WaitEPNS0_5MutexE)

#define ATTUNE_CONDVAR_WAIT_UNTIL(name, Limit)                       \
  bool ATTUNE_REAL(name)(void*, void*, Limit);                       \
  bool ATTUNE_WRAP(name)(void* condition, void* lock, Limit limit) { \
    return Wait(ATTUNE_REAL(name), condition, lock, lock, limit);    \
  }
ATTUNE_CONDVAR_WAIT_UNTIL(7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE,
                          absl::Duration)
ATTUNE_CONDVAR_WAIT_UNTIL(7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE,
                          absl::Time)

// Notifications hand over what was done before Notify().
ATTUNE_RELEASE(12Notification6NotifyEv)
}

#undef ATTUNE_REAL
#undef ATTUNE_WRAP
#define ATTUNE_REAL(name) __real__ZNK4absl7debian3##name
#define ATTUNE_WRAP(name) __wrap__ZNK4absl7debian3##name
extern "C" {
ATTUNE_ACQUIRE(12Notification19WaitForNotificationEv)

#define ATTUNE_NOTIFICATION_UNTIL(name, Limit)                \
  bool ATTUNE_REAL(name)(void*, Limit);                       \
  bool ATTUNE_WRAP(name)(void* notification, Limit limit) {   \
    const bool done = ATTUNE_REAL(name)(notification, limit); \
    if (done) __tsan_acquire(notification);                   \
    return done;                                              \
  }
ATTUNE_NOTIFICATION_UNTIL(
    12Notification30WaitForNotificationWithTimeoutENS0_8DurationE,
    absl::Duration)
ATTUNE_NOTIFICATION_UNTIL(
    12Notification31WaitForNotificationWithDeadlineENS0_4TimeE, absl::Time)
}
