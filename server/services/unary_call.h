// Unary calls of the callback API.
//
//   grpc::ServerUnaryReactor* GetModel(
//       grpc::CallbackServerContext* context, const GetModelRequest* request,
//       Model* response) override {
//     return RunUnary<GetModelRequest, Model>(
//         environment_, {"ModelService", "GetModel"}, context, request,
//         response, [this](const GetModelRequest& request, Model* response) {
//           …
//           return absl::OkStatus();
//         });
//   }

#ifndef ATTUNE_SERVER_SERVICES_UNARY_CALL_H_
#define ATTUNE_SERVER_SERVICES_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <exception>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc/status_conversion.h"
#include "server/core/cancellation.h"
#include "server/services/call.h"

namespace attune::services {

// A unary call that a callback will finish. Owns itself: it is deleted after
// Done, when gRPC has let go of it.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(const CallEnvironment& environment, CallName name)
      : drain_(*environment.drain), timer_(environment, name) {
    drain_.CallBegan();
  }

  // Ends the call, from any thread. REQUIRES: called once; the request, the
  // response and the call must not be touched afterwards.
  void Done(const absl::Status& status) {
    timer_.SetOutcome(status);
    Finish(ToGrpcStatus(status));
  }

  // Whether the client has gone; Done must be called all the same.
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // Hears when the client goes, or its deadline passes.
  const std::shared_ptr<core::Cancellation>& cancellation() const {
    return cancellation_;
  }

  void OnCancel() override {
    cancelled_.store(true);
    cancellation_->Cancel();
  }
  void OnDone() override {
    timer_.Ended();
    drain_.CallEnded();
    delete this;
  }

 private:
  ~UnaryCall() override = default;

  const Drain& drain_;
  CallTimer timer_;
  const std::shared_ptr<core::Cancellation> cancellation_ =
      std::make_shared<core::Cancellation>();
  std::atomic<bool> cancelled_ = false;
};

// The status of `body()`; INTERNAL when it throws, so that a failed allocation
// ends a call and not the server.
template <typename Body>
absl::Status CatchExceptions(Body&& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("unexpected: ", error.what()));
  }
}

// Runs `body` on the executor and ends the call with its status. A call that
// was cancelled or whose deadline passed while it waited never runs.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* RunUnary(
    const CallEnvironment& environment, CallName name,
    grpc::CallbackServerContext* context, const Request* request,
    Response* response,
    absl::AnyInvocable<absl::Status(const Request&, Response*)> body,
    size_t limit_bytes = kMaxUnaryBytes) {
  auto* call = new UnaryCall(environment, name);
  absl::Status admitted = AdmitCall(environment, name, *context,
                                    request->ByteSizeLong(), limit_bytes);
  if (!admitted.ok()) {
    call->Done(admitted);
    return call;
  }
  const absl::Time deadline = CallDeadline(*context);
  const bool submitted = environment.executor->Submit(
      [call, request, response, deadline, body = std::move(body)]() mutable {
        if (call->cancelled()) {
          call->Done(absl::CancelledError("the client cancelled the call"));
        } else if (deadline <= absl::Now()) {
          call->Done(absl::DeadlineExceededError(
              "the deadline passed before the call was begun"));
        } else {
          call->Done(CatchExceptions([&] { return body(*request, response); }));
        }
      });
  if (!submitted) call->Done(DrainingError());
  return call;
}

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_UNARY_CALL_H_
