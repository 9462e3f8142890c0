// Streams whose messages are handled one after another on the executor:
// uploads (client streams) and downloads (server streams). The next message is
// read, or made, when the one before is done, so that a slow disk slows the
// client and a slow client holds no thread.

#ifndef ATTUNE_SERVER_SERVICES_STREAM_CALL_H_
#define ATTUNE_SERVER_SERVICES_STREAM_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/grpc/status_conversion.h"
#include "server/services/call.h"
#include "server/services/unary_call.h"

namespace attune::services {

// The body of one client-streaming call. Made when the call begins; every
// function runs on the executor, one at a time. Destroyed without OnEnd when
// the call fails or the client goes away: what is not committed by then has no
// effect.
template <typename Request, typename Response>
class UploadHandler {
 public:
  virtual ~UploadHandler() = default;
  // An error ends the call.
  virtual absl::Status OnMessage(Request& request) = 0;
  // The client has sent everything.
  virtual absl::Status OnEnd(Response* response) = 0;
  // The client has gone away, perhaps to come back.
  virtual void OnCut() {}
};

// The body of one server-streaming call, under the same rules.
template <typename Response>
class DownloadHandler {
 public:
  virtual ~DownloadHandler() = default;
  // Fills `response`, which is empty, with the next message; false when there
  // is none.
  virtual absl::StatusOr<bool> Next(Response* response) = 0;
};

// The two reactors below own themselves.
template <typename Request, typename Response>
class UploadCall final : public grpc::ServerReadReactor<Request> {
 public:
  using Handler = UploadHandler<Request, Response>;

  UploadCall(const CallEnvironment& environment, CallName name,
             Response* response, std::unique_ptr<Handler> handler)
      : environment_(environment),
        timer_(environment, name),
        response_(response),
        handler_(std::move(handler)) {
    environment_.drain->CallBegan();
  }

  void Start(const absl::Status& admitted, Caller caller, Slots::Slot slot) {
    caller_ = std::move(caller);
    slot_ = std::move(slot);
    if (admitted.ok()) {
      this->StartRead(&request_);
    } else {
      Done(admitted);
    }
  }

  void OnReadDone(bool ok) override {
    const bool submitted = environment_.executor->Submit([this, ok] {
      if (ok) {
        absl::Status status = CheckCaller(environment_, caller_);
        if (status.ok()) {
          status =
              CatchExceptions([&] { return handler_->OnMessage(request_); });
        }
        if (!status.ok()) return Done(status);
        request_.Clear();
        this->StartRead(&request_);
      } else if (cancelled_.load()) {
        Done(CatchExceptions([&] {
          handler_->OnCut();
          return absl::CancelledError("the client cancelled the call");
        }));
      } else {
        Done(CatchExceptions([&] { return handler_->OnEnd(response_); }));
      }
    });
    if (!submitted) Done(DrainingError());
  }

  void OnCancel() override { cancelled_.store(true); }
  void OnDone() override {
    timer_.Ended();
    environment_.drain->CallEnded();
    delete this;
  }

 private:
  ~UploadCall() override = default;

  void Done(const absl::Status& status) {
    handler_.reset();
    timer_.SetOutcome(status);
    this->Finish(ToGrpcStatus(status));
  }

  const CallEnvironment& environment_;
  CallTimer timer_;
  Caller caller_;
  Slots::Slot slot_;
  Response* response_;
  std::unique_ptr<Handler> handler_;
  Request request_;
  std::atomic<bool> cancelled_ = false;
};

template <typename Response>
class DownloadCall final : public grpc::ServerWriteReactor<Response> {
 public:
  using Handler = DownloadHandler<Response>;

  DownloadCall(const CallEnvironment& environment, CallName name,
               std::unique_ptr<Handler> handler)
      : environment_(environment),
        timer_(environment, name),
        handler_(std::move(handler)) {
    environment_.drain->CallBegan();
  }

  void Start(const absl::Status& admitted, Caller caller, Slots::Slot slot) {
    caller_ = std::move(caller);
    slot_ = std::move(slot);
    if (admitted.ok()) {
      Continue();
    } else {
      Done(admitted);
    }
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Continue();
    } else {
      Done(absl::CancelledError("the client went away"));
    }
  }

  void OnCancel() override { cancelled_.store(true); }
  void OnDone() override {
    timer_.Ended();
    environment_.drain->CallEnded();
    delete this;
  }

 private:
  ~DownloadCall() override = default;

  void Continue() {
    const bool submitted = environment_.executor->Submit([this] {
      if (cancelled_.load()) {
        return Done(absl::CancelledError("the client cancelled the call"));
      }
      response_.Clear();
      bool more = false;
      absl::Status status = CheckCaller(environment_, caller_);
      if (!status.ok()) return Done(status);
      status = CatchExceptions([&] {
        absl::StatusOr<bool> next = handler_->Next(&response_);
        more = next.ok() && *next;
        return next.status();
      });
      if (!status.ok() || !more) return Done(status);
      this->StartWrite(&response_);
    });
    if (!submitted) Done(DrainingError());
  }

  void Done(const absl::Status& status) {
    handler_.reset();
    timer_.SetOutcome(status);
    this->Finish(ToGrpcStatus(status));
  }

  const CallEnvironment& environment_;
  CallTimer timer_;
  Caller caller_;
  Slots::Slot slot_;
  std::unique_ptr<Handler> handler_;
  Response response_;
  std::atomic<bool> cancelled_ = false;
};

// Begin a call with its handler. `environment` and `slots`, nullptr for no
// bound, outlive the call; handlers do nothing that blocks when they are made.
template <typename Request, typename Response>
grpc::ServerReadReactor<Request>* RunUpload(
    const CallEnvironment& environment, CallName name,
    grpc::CallbackServerContext* context, Response* response,
    std::unique_ptr<UploadHandler<Request, Response>> handler, Slots* slots) {
  auto* call = new UploadCall<Request, Response>(environment, name, response,
                                                 std::move(handler));
  Caller caller;
  Slots::Slot slot;
  absl::Status admitted =
      AdmitCall(environment, name, *context, 0, kMaxUnaryBytes, &caller);
  if (admitted.ok() && slots != nullptr) admitted = slots->Take(&slot);
  call->Start(admitted, std::move(caller), std::move(slot));
  return call;
}

template <typename Response>
grpc::ServerWriteReactor<Response>* RunDownload(
    const CallEnvironment& environment, CallName name,
    grpc::CallbackServerContext* context, size_t request_bytes,
    std::unique_ptr<DownloadHandler<Response>> handler, Slots* slots) {
  auto* call =
      new DownloadCall<Response>(environment, name, std::move(handler));
  Caller caller;
  Slots::Slot slot;
  absl::Status admitted = AdmitCall(environment, name, *context, request_bytes,
                                    kMaxUnaryBytes, &caller);
  if (admitted.ok() && slots != nullptr) admitted = slots->Take(&slot);
  call->Start(admitted, std::move(caller), std::move(slot));
  return call;
}

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_STREAM_CALL_H_
