#include "server/services/serve_stream.h"

#include <spdlog/spdlog.h>

#include <deque>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/grpc/status_conversion.h"
#include "common/status_macros.h"
#include "server/services/model_codec.h"
#include "server/services/serve_codec.h"

namespace attune::services {
namespace {

constexpr CallName kServe = {"WorkerService", "Serve"};

}  // namespace

// Owns itself. Messages to the worker wait in a queue, since gRPC takes one at
// a time; the router bounds how many there are.
class ServeStream final
    : public grpc::ServerBidiReactor<v1::ServeRequest, v1::ServeResponse>,
      public core::WorkerLink {
 public:
  ServeStream(ServeStreams& streams, grpc::CallbackServerContext& context)
      : streams_(streams),
        context_(context),
        timer_(streams.environment_, kServe) {}

  // REQUIRES: before the stream is known to ServeStreams.
  void SetCaller(Caller caller) { caller_ = std::move(caller); }
  const Caller& caller() const { return caller_; }

  void Start() {
    absl::MutexLock lock(&mutex_);
    if (!closed_) StartRead(&request_);
  }

  // Ends the call, once. REQUIRES: neither the stream's nor the router's lock
  // is held.
  void Close(const absl::Status& status) {
    int64_t session = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (closed_) return;
      closed_ = true;
      timer_.SetOutcome(status);
      final_status_ = ToGrpcStatus(status);
      session = std::exchange(session_, 0);
    }
    // Before Finish: after it this object may be gone, and the router must not
    // send to it any more.
    if (session != 0) {
      streams_.router_.RemoveWorker(session);
      spdlog::info("worker {} serves no more: {}", worker_id_,
                   status.ok() ? "it closed the stream" : status.ToString());
    }
    absl::MutexLock lock(&mutex_);
    detached_ = true;
    // A message on its way ends first.
    if (!writing_) Finish(final_status_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Close(absl::OkStatus());
    if (absl::Status status = Handle(); !status.ok()) return Close(status);
    request_.Clear();
    absl::MutexLock lock(&mutex_);
    if (!closed_) StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      outgoing_.pop_front();
      if (closed_) {
        if (detached_) Finish(final_status_);
        return;
      }
      if (ok) return WriteNext();
    }
    Close(absl::CancelledError("the worker went away"));
  }

  void OnCancel() override {
    Close(absl::CancelledError("the worker went away"));
  }

  void OnDone() override {
    timer_.Ended();
    {
      absl::MutexLock lock(&streams_.mutex_);
      streams_.streams_.erase(this);
    }
    delete this;
  }

  void SendLoad(const core::ServedVersion& version) override {
    v1::ServeResponse message;
    *message.mutable_load()->mutable_version() =
        ToVersionContent(version.version, version.manifest);
    Send(std::move(message));
  }
  void SendUnload(const std::string& version_digest) override {
    v1::ServeResponse message;
    message.mutable_unload()->set_version_digest(version_digest);
    Send(std::move(message));
  }
  void SendBatch(const core::InferenceBatch& batch) override {
    v1::ServeResponse message;
    *message.mutable_batch() = ToProto(batch);
    Send(std::move(message));
  }

 private:
  ~ServeStream() override = default;

  absl::Status Handle() {
    if (request_.part_case() == v1::ServeRequest::kHello) return OnHello();
    int64_t session = 0;
    {
      absl::MutexLock lock(&mutex_);
      session = session_;
    }
    if (worker_id_.empty()) {
      return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM",
                   "hello must come first");
    }
    // The stream is a sign of life; a worker that was forgotten meanwhile
    // registers again by itself.
    streams_.registry_.Touch(worker_id_).IgnoreError();
    switch (request_.part_case()) {
      case v1::ServeRequest::kLoadResult: {
        const auto& result = request_.load_result();
        streams_.router_.OnLoadResult(
            session, result.version_digest(),
            result.has_error() ? FromProto(result.error()) : absl::OkStatus());
        return absl::OkStatus();
      }
      case v1::ServeRequest::kBatchResult:
        return streams_.router_.OnBatchAnswer(
            session, FromProto(request_.batch_result()));
      default:
        return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM",
                     "a message is empty");
    }
  }

  absl::Status OnHello() {
    if (!worker_id_.empty()) {
      return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM",
                   "hello came twice");
    }
    ATTUNE_ASSIGN_OR_RETURN(const core::ServingWorker worker,
                            FromProto(request_.hello()));
    ATTUNE_RETURN_IF_ERROR(
        CheckWorkerId(streams_.environment_, context_, worker.id));
    ATTUNE_RETURN_IF_ERROR(
        streams_.registry_.RequireRole(worker.id, core::WorkerRole::kServe));
    worker_id_ = worker.id;
    spdlog::info("worker {} serves: {} version slots, batches of {}", worker.id,
                 worker.version_slots, worker.preferred_batch_size);
    const int64_t session = streams_.router_.AddWorker(worker, this);
    {
      absl::MutexLock lock(&mutex_);
      if (!closed_) {
        session_ = session;
        return absl::OkStatus();
      }
    }
    // The worker went while it was added.
    streams_.router_.RemoveWorker(session);
    return absl::OkStatus();
  }

  void Send(v1::ServeResponse message) {
    absl::MutexLock lock(&mutex_);
    if (closed_) return;
    outgoing_.push_back(std::move(message));
    if (!writing_) WriteNext();
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (outgoing_.empty()) return;
    writing_ = true;
    StartWrite(&outgoing_.front());
  }

  ServeStreams& streams_;
  grpc::CallbackServerContext& context_;
  CallTimer timer_;
  Caller caller_;
  v1::ServeRequest request_;
  std::string worker_id_;  // written once, before session_

  absl::Mutex mutex_;
  std::deque<v1::ServeResponse> outgoing_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  // Closed, and the router does not know it any more.
  bool detached_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t session_ ABSL_GUARDED_BY(mutex_) = 0;
  grpc::Status final_status_ ABSL_GUARDED_BY(mutex_);
};

grpc::ServerBidiReactor<v1::ServeRequest, v1::ServeResponse>*
ServeStreams::Begin(grpc::CallbackServerContext* context) {
  auto* stream = new ServeStream(*this, *context);
  Caller caller;
  absl::Status admitted =
      AdmitCall(environment_, kServe, *context, 0, kMaxInferenceBytes, &caller);
  stream->SetCaller(std::move(caller));
  {
    absl::MutexLock lock(&mutex_);
    streams_.insert(stream);
  }
  if (admitted.ok()) {
    stream->Start();
  } else {
    stream->Close(admitted);
  }
  return stream;
}

void ServeStreams::CloseRefused() {
  absl::MutexLock lock(&mutex_);
  for (ServeStream* stream : streams_) {
    if (absl::Status allowed = CheckCaller(environment_, stream->caller());
        !allowed.ok()) {
      stream->Close(allowed);
    }
  }
}

void ServeStreams::CloseAll() {
  absl::MutexLock lock(&mutex_);
  for (ServeStream* stream : streams_) stream->Close(DrainingError());
}

}  // namespace attune::services
