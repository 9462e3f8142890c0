// What every RPC handler needs around its body: draining, deadlines, limits
// and the figures of the call.

#ifndef ATTUNE_SERVER_SERVICES_CALL_H_
#define ATTUNE_SERVER_SERVICES_CALL_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/grpc/channel.h"
#include "common/timed_mutex.h"
#include "server/core/executor.h"
#include "server/core/metrics.h"
#include "server/services/access.h"
#include "server/services/slots.h"

namespace attune::services {

// Whether the server has begun to stop. Thread-safe.
class Drain {
 public:
  // New calls are refused from now on.
  void Start() { started_.store(true); }
  bool started() const { return started_.load(); }

  // Unary calls, uploads and downloads that are not done. `AwaitCalls` waits
  // until there is none, or for `timeout`; whether there is none. Only then may
  // gRPC be shut down: a call that comes later is CANCELLED by it, not refused.
  void CallBegan() const;
  void CallEnded() const;
  bool AwaitCalls(absl::Duration timeout) const;

 private:
  std::atomic<bool> started_ = false;
  mutable TimedMutex mutex_;
  mutable int64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What services share. The objects outlive every call, and the executor is shut
// down after the last one: what it is given is not dropped on a thread of gRPC.
struct CallEnvironment {
  core::Executor* executor = nullptr;
  core::Metrics* metrics = nullptr;
  const Drain* drain = nullptr;
  // nullptr: every call is open to everybody.
  const Access* access = nullptr;
  // nullptr: as many streams as there are.
  StreamSlots* slots = nullptr;

  Slots* uploads() const { return slots ? &slots->uploads : nullptr; }
  Slots* downloads() const { return slots ? &slots->downloads : nullptr; }
  Slots* watches() const { return slots ? &slots->watches : nullptr; }
};

// Labels of the figures; constants, such as "ModelService" and "GetModel".
struct CallName {
  absl::string_view service;
  absl::string_view method;
};

// Whether a call may begin: the errors of Access::Admit; UNAVAILABLE, reason
// DRAINING; DEADLINE_EXCEEDED when its deadline is past; RESOURCE_EXHAUSTED,
// reason MESSAGE_TOO_LARGE, when the request has more than `limit_bytes`. Who
// calls goes to `*caller`: a stream asks CheckCaller before each message.
absl::Status AdmitCall(const CallEnvironment& environment, CallName name,
                       const grpc::CallbackServerContext& context,
                       size_t request_bytes, size_t limit_bytes,
                       Caller* caller = nullptr);

// The part of AdmitCall that holds while the server drains too.
absl::StatusOr<Caller> AuthoriseCall(
    const CallEnvironment& environment, CallName name,
    const grpc::CallbackServerContext& context);

// As Access::Check and Access::CheckWorkerId.
absl::Status CheckCaller(const CallEnvironment& environment,
                         const Caller& caller);
absl::Status CheckWorkerId(const CallEnvironment& environment,
                           const grpc::CallbackServerContext& context,
                           absl::string_view worker_id);

// The deadline of the call, absl::InfiniteFuture without one.
absl::Time CallDeadline(const grpc::CallbackServerContext& context);

// UNAVAILABLE, reason DRAINING, with a delay after which another try makes
// sense.
absl::Status DrainingError();

// The canonical name of a code, such as "NOT_FOUND".
absl::string_view CodeName(absl::StatusCode code);

// Reports one call when it ends.
class CallTimer {
 public:
  CallTimer(const CallEnvironment& environment, CallName name);
  // Keeps the outcome, and logs what the server's operator has to know: damage
  // and errors of its own. REQUIRES: called before Ended.
  void SetOutcome(const absl::Status& status);
  // REQUIRES: called once.
  void Ended() const;

 private:
  absl::StatusCode code_ = absl::StatusCode::kUnknown;
  core::Metrics* metrics_;
  CallName name_;
  absl::Time start_;
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_CALL_H_
