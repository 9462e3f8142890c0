#include "server/core/ticker.h"

#include <utility>

namespace attune::core {

Ticker::Ticker(absl::Duration period, std::function<void()> tick)
    : period_(period), tick_(std::move(tick)), thread_([this] { Run(); }) {}

Ticker::~Ticker() {
  {
    TimedMutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void Ticker::Run() {
  while (true) {
    {
      TimedMutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), period_)) return;
    }
    tick_();
  }
}

}  // namespace attune::core
