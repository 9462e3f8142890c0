#include "server/services/lease_call.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/grpc/status_conversion.h"
#include "common/grpc/time_conversion.h"
#include "server/services/task_codec.h"

namespace attune::services {
namespace {

constexpr CallName kLeaseTask = {"WorkerService", "LeaseTask"};
constexpr absl::Duration kMaxWait = absl::Seconds(60);
// The answer must leave before the client's deadline.
constexpr absl::Duration kMargin = absl::Milliseconds(500);

// One call. Owns itself.
class LeaseCall final : public grpc::ServerUnaryReactor {
 public:
  LeaseCall(const CallEnvironment& environment, core::LeaseManager& leases,
            v1::LeaseTaskResponse* response)
      : environment_(environment),
        leases_(leases),
        response_(response),
        timer_(environment, kLeaseTask) {}

  void Start(const std::string& worker_id, absl::Duration wait, Caller caller) {
    caller_ = std::move(caller);
    // The callback may run, and Finish with it, before this returns; the call
    // lives on until `started_` too, because OnDone waits for it.
    const int64_t id = leases_.WaitForTask(
        worker_id, wait, [this](auto task) { Answer(std::move(task)); });
    bool cancelled = false;
    {
      absl::MutexLock lock(&mutex_);
      wait_ = id;
      cancelled = cancelled_;
    }
    if (cancelled) leases_.CancelWait(id);
    Leave();
  }

  void End(const absl::Status& status) {
    timer_.SetOutcome(status);
    Finish(ToGrpcStatus(status));
  }

  void OnCancel() override {
    std::optional<int64_t> wait;
    {
      absl::MutexLock lock(&mutex_);
      cancelled_ = true;
      wait = wait_;
    }
    if (wait.has_value()) leases_.CancelWait(*wait);
  }

  void OnDone() override {
    timer_.Ended();
    Leave();
  }

  // Start was not called.
  void NotStarted() { Leave(); }

 private:
  ~LeaseCall() override = default;

  void Answer(absl::StatusOr<std::optional<core::LeasedTask>> task) {
    if (!task.ok()) return End(task.status());
    if (!task->has_value()) return End(absl::OkStatus());
    bool cancelled = false;
    {
      absl::MutexLock lock(&mutex_);
      cancelled = cancelled_;
    }
    if (cancelled) {
      leases_.HandBack(**task);
      return End(absl::CancelledError("the client cancelled the call"));
    }
    // The key may have been revoked during the wait.
    if (absl::Status allowed = CheckCaller(environment_, caller_);
        !allowed.ok()) {
      leases_.HandBack(**task);
      return End(allowed);
    }
    *response_->mutable_task() = ToProto(**task);
    End(absl::OkStatus());
  }

  // The call goes when both Start and gRPC have left it.
  void Leave() {
    {
      absl::MutexLock lock(&mutex_);
      if (--users_ > 0) return;
    }
    delete this;
  }

  const CallEnvironment& environment_;
  core::LeaseManager& leases_;
  v1::LeaseTaskResponse* const response_;
  CallTimer timer_;
  Caller caller_;
  absl::Mutex mutex_;
  int users_ ABSL_GUARDED_BY(mutex_) = 2;
  std::optional<int64_t> wait_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerUnaryReactor* BeginLeaseTask(const CallEnvironment& environment,
                                         core::LeaseManager& leases,
                                         grpc::CallbackServerContext* context,
                                         const v1::LeaseTaskRequest* request,
                                         v1::LeaseTaskResponse* response) {
  auto* call = new LeaseCall(environment, leases, response);
  Caller caller;
  absl::Status admitted =
      AdmitCall(environment, kLeaseTask, *context, request->ByteSizeLong(),
                kMaxUnaryBytes, &caller);
  if (admitted.ok()) {
    admitted = CheckWorkerId(environment, *context, request->worker_id());
  }
  const absl::Duration wait = FromProtoDuration(request->wait());
  if (admitted.ok() && (wait < absl::ZeroDuration() || wait > kMaxWait)) {
    admitted = InvalidField("wait", "must be from 0 to 60 s");
  }
  if (!admitted.ok()) {
    call->End(admitted);
    call->NotStarted();
    return call;
  }
  const absl::Duration left = CallDeadline(*context) - absl::Now() - kMargin;
  call->Start(request->worker_id(),
              std::max(absl::ZeroDuration(), std::min(wait, left)),
              std::move(caller));
  return call;
}

}  // namespace attune::services
