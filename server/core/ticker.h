#ifndef ATTUNE_SERVER_CORE_TICKER_H_
#define ATTUNE_SERVER_CORE_TICKER_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/timed_mutex.h"

namespace attune::core {

// Calls a function again and again on a thread of its own, `period` after its
// last return, until it is destroyed.
class Ticker {
 public:
  Ticker(absl::Duration period, std::function<void()> tick);
  // Waits for the call that runs.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void Run();

  const absl::Duration period_;
  const std::function<void()> tick_;
  TimedMutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_TICKER_H_
