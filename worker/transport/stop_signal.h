#ifndef ATTUNE_WORKER_TRANSPORT_STOP_SIGNAL_H_
#define ATTUNE_WORKER_TRANSPORT_STOP_SIGNAL_H_

#include <grpcpp/client_context.h>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "common/timed_mutex.h"

namespace attune::transport {

// Tells threads to stop, once and for good: it ends their waits and cancels
// the calls that they are in. Thread-safe.
class StopSignal {
 public:
  StopSignal() = default;
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  void Stop();
  bool stopped() const;

  // Waits for `duration`; true as soon as Stop is called.
  bool WaitFor(absl::Duration duration) const;

  // While it lives, Stop cancels the call of `context`; at once when it was
  // called before.
  class Scope {
   public:
    Scope(StopSignal& signal, grpc::ClientContext& context);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    StopSignal& signal_;
    grpc::ClientContext& context_;
  };

 private:
  mutable TimedMutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::transport

#endif  // ATTUNE_WORKER_TRANSPORT_STOP_SIGNAL_H_
