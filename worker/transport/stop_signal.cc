#include "worker/transport/stop_signal.h"

namespace attune::transport {

void StopSignal::Stop() {
  TimedMutexLock lock(&mutex_);
  stopped_ = true;
  for (grpc::ClientContext* call : calls_) call->TryCancel();
}

bool StopSignal::stopped() const {
  TimedMutexLock lock(&mutex_);
  return stopped_;
}

bool StopSignal::WaitFor(absl::Duration duration) const {
  TimedMutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&stopped_), duration);
}

StopSignal::Scope::Scope(StopSignal& signal, grpc::ClientContext& context)
    : signal_(signal), context_(context) {
  TimedMutexLock lock(&signal_.mutex_);
  signal_.calls_.insert(&context_);
  // A context that is cancelled before its call begins makes it CANCELLED.
  if (signal_.stopped_) context_.TryCancel();
}

StopSignal::Scope::~Scope() {
  TimedMutexLock lock(&signal_.mutex_);
  signal_.calls_.erase(&context_);
}

}  // namespace attune::transport
