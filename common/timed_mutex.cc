#include "common/timed_mutex.h"

#include <algorithm>
#include <chrono>

namespace attune {
namespace {

// Added to the present it still is a time.
constexpr absl::Duration kForEver = absl::Hours(24 * 3650);

}  // namespace

void TimedMutex::Lock() { mutex_.lock(); }

void TimedMutex::Unlock() {
  // Before the unlock: after it a waiter may destroy this.
  if (waiters_ > 0) unlocked_.notify_all();
  mutex_.unlock();
}

void TimedMutex::Await(const absl::Condition& condition) {
  AwaitWithTimeout(condition, kForEver);
}

bool TimedMutex::AwaitWithTimeout(const absl::Condition& condition,
                                  absl::Duration timeout) {
  if (condition.Eval()) return true;
  // The thread that waits may have changed what others wait for.
  if (waiters_ > 0) unlocked_.notify_all();
  const auto end = std::chrono::steady_clock::now() +
                   absl::ToChronoNanoseconds(std::min(timeout, kForEver));
  std::unique_lock<std::mutex> lock(mutex_, std::adopt_lock);
  ++waiters_;
  const bool met =
      unlocked_.wait_until(lock, end, [&] { return condition.Eval(); });
  --waiters_;
  lock.release();
  return met;
}

}  // namespace attune
