#include "server/services/call.h"

#include <grpc/support/time.h>
#include <spdlog/spdlog.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::services {
namespace {

constexpr absl::Duration kRetryAfterDraining = absl::Seconds(1);

}  // namespace

void Drain::CallBegan() const {
  TimedMutexLock lock(&mutex_);
  ++calls_;
}

void Drain::CallEnded() const {
  TimedMutexLock lock(&mutex_);
  --calls_;
}

bool Drain::AwaitCalls(absl::Duration timeout) const {
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return calls_ == 0;
  };
  TimedMutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&none), timeout);
}

absl::StatusOr<Caller> AuthoriseCall(
    const CallEnvironment& environment, CallName name,
    const grpc::CallbackServerContext& context) {
  if (environment.access == nullptr) return Caller();
  return environment.access->Admit(name.service, name.method, context);
}

absl::Status CheckCaller(const CallEnvironment& environment,
                         const Caller& caller) {
  if (environment.access == nullptr) return absl::OkStatus();
  return environment.access->Check(caller);
}

absl::Status CheckWorkerId(const CallEnvironment& environment,
                           const grpc::CallbackServerContext& context,
                           absl::string_view worker_id) {
  if (environment.access == nullptr) return absl::OkStatus();
  return environment.access->CheckWorkerId(context, worker_id);
}

absl::Status AdmitCall(const CallEnvironment& environment, CallName name,
                       const grpc::CallbackServerContext& context,
                       size_t request_bytes, size_t limit_bytes,
                       Caller* caller) {
  ATTUNE_ASSIGN_OR_RETURN(Caller known,
                          AuthoriseCall(environment, name, context));
  if (caller != nullptr) *caller = std::move(known);
  if (environment.drain->started()) return DrainingError();
  if (CallDeadline(context) <= absl::Now()) {
    return absl::DeadlineExceededError("the deadline had passed already");
  }
  if (request_bytes > limit_bytes) {
    return Error(absl::StatusCode::kResourceExhausted, "MESSAGE_TOO_LARGE",
                 absl::StrCat("the request has ", request_bytes,
                              " bytes, more than the ", limit_bytes,
                              " that this call accepts"));
  }
  return absl::OkStatus();
}

absl::Time CallDeadline(const grpc::CallbackServerContext& context) {
  const gpr_timespec deadline = context.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
    return absl::InfiniteFuture();
  }
  // By gRPC's own clock: the wall clock may have been set since the call came.
  const gpr_timespec left =
      gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return absl::Now() + absl::Seconds(left.tv_sec) +
         absl::Nanoseconds(left.tv_nsec);
}

absl::Status DrainingError() {
  return WithRetryDelay(
      Error(absl::StatusCode::kUnavailable, "DRAINING",
            "the server is stopping: try again when it is back"),
      kRetryAfterDraining);
}

absl::string_view CodeName(absl::StatusCode code) {
  static const auto* const kNames = [] {
    auto* names = new std::map<absl::StatusCode, std::string>;
    for (int i = 0; i <= static_cast<int>(absl::StatusCode::kUnauthenticated);
         ++i) {
      const auto code = static_cast<absl::StatusCode>(i);
      names->emplace(code, absl::StatusCodeToString(code));
    }
    return names;
  }();
  const auto found = kNames->find(code);
  return found == kNames->end() ? absl::string_view("UNKNOWN") : found->second;
}

CallTimer::CallTimer(const CallEnvironment& environment, CallName name)
    : metrics_(environment.metrics), name_(name), start_(absl::Now()) {}

void CallTimer::SetOutcome(const absl::Status& status) {
  code_ = status.code();
  if (code_ == absl::StatusCode::kInternal ||
      code_ == absl::StatusCode::kDataLoss) {
    spdlog::error("{}.{}: {}", std::string(name_.service),
                  std::string(name_.method), status.ToString());
  }
}

void CallTimer::Ended() const {
  metrics_->CallEnded(name_.service, name_.method, CodeName(code_),
                      absl::Now() - start_);
}

}  // namespace attune::services
