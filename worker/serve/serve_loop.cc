#include "worker/serve/serve_loop.h"

#include <grpcpp/client_context.h>
#include <spdlog/spdlog.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/error.h"
#include "common/grpc/status_conversion.h"
#include "common/timed_mutex.h"
#include "worker/serve/batch.h"
#include "worker/transport/retry.h"

namespace attune::serve {
namespace {

constexpr absl::Duration kDrainPoll = absl::Milliseconds(100);

// Messages that wait for the one thread that handles them.
class Inbox {
 public:
  void Push(v1::ServeResponse message) {
    TimedMutexLock lock(&mutex_);
    messages_.push_back(std::move(message));
  }
  // The stream has ended: nobody waits for what is here any more.
  void Close() {
    TimedMutexLock lock(&mutex_);
    closed_ = true;
    messages_.clear();
  }
  // The next message; false when there will be none, or when `timeout` is
  // over without one.
  bool Pop(absl::Duration timeout, v1::ServeResponse& message) {
    TimedMutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(
        absl::Condition(
            +[](Inbox* inbox) ABSL_NO_THREAD_SAFETY_ANALYSIS {
              return inbox->closed_ || !inbox->messages_.empty();
            },
            this),
        timeout);
    if (messages_.empty()) return false;
    message = std::move(messages_.front());
    messages_.pop_front();
    return true;
  }
  bool closed() const {
    TimedMutexLock lock(&mutex_);
    return closed_ && messages_.empty();
  }

 private:
  mutable TimedMutex mutex_;
  std::deque<v1::ServeResponse> messages_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

// One call of Serve. Three threads: the caller's reads, one loads versions
// (minutes for a large one, and batches of others must not wait), one computes.
class ServeLoop::Stream {
 public:
  explicit Stream(ServeLoop& loop)
      : loop_(loop),
        loading_(loop.connection_, ended_),
        scope_(loop.connection_.stop(), context_),
        stream_(loop.connection_.worker_stub().Serve(&context_)) {}

  absl::Status Run() {
    // The server counts a worker that says hello as empty.
    loop_.versions_.Clear();
    v1::ServeRequest hello;
    *hello.mutable_hello() = loop_.options_.hello;
    Write(hello);
    std::thread loader([this] { LoadVersions(); });
    std::thread computer([this] { ComputeBatches(); });
    v1::ServeResponse message;
    while (stream_->Read(&message)) {
      Inbox& inbox = message.has_batch() ? batches_ : loads_;
      inbox.Push(std::move(message));
    }
    // Nobody waits for a load that is on its way: without this it would go on
    // while the server cannot be reached, and the next stream begin after it.
    ended_.Stop();
    loads_.Close();
    batches_.Close();
    loader.join();
    computer.join();
    return FromGrpcStatus(stream_->Finish());
  }

 private:
  void Write(const v1::ServeRequest& message) {
    absl::MutexLock lock(&write_mutex_);
    // A write that fails shows as the end of the reading.
    if (!half_closed_) stream_->Write(message);
  }

  void HalfClose() {
    absl::MutexLock lock(&write_mutex_);
    half_closed_ = true;
    stream_->WritesDone();
  }

  void LoadVersions() {
    v1::ServeResponse message;
    while (!loads_.closed()) {
      if (!loads_.Pop(absl::InfiniteDuration(), message)) continue;
      if (message.has_unload()) {
        loop_.versions_.Unload(message.unload().version_digest());
        continue;
      }
      const v1::VersionContent& content = message.load().version();
      const absl::Status status = loop_.versions_.Load(loading_, content);
      v1::ServeRequest answer;
      answer.mutable_load_result()->set_version_digest(content.digest());
      if (status.ok()) {
        spdlog::info("serving {}", content.version());
      } else {
        spdlog::warn("cannot load {}: {}", content.version(),
                     std::string(status.message()));
        *answer.mutable_load_result()->mutable_error() = ToItemError(status);
      }
      Write(answer);
    }
  }

  void ComputeBatches() {
    v1::ServeResponse message;
    while (!batches_.closed()) {
      const bool drain = loop_.drain_.stopped();
      if (batches_.Pop(drain ? absl::ZeroDuration() : kDrainPoll, message)) {
        v1::ServeRequest answer;
        *answer.mutable_batch_result() = Answer(message.batch());
        Write(answer);
      } else if (drain) {
        // The server gives what comes now to others and ends the call.
        ended_.Stop();
        return HalfClose();
      }
    }
  }

  v1::ServeRequest::BatchResult Answer(const v1::ServeResponse::Batch& batch) {
    const VersionTable::Loaded version =
        loop_.versions_.Find(batch.version_digest());
    if (version == nullptr) {
      v1::ServeRequest::BatchResult result;
      result.set_batch_id(batch.batch_id());
      *result.mutable_error() =
          ToItemError(Error(absl::StatusCode::kUnavailable, "MODEL_NOT_LOADED",
                            "the worker does not have this version"));
      return result;
    }
    return RunBatch(*version, batch, loop_.options_.device, loop_.decoder_,
                    loop_.pool_);
  }

  ServeLoop& loop_;
  // Signalled when the stream is over: ends a load.
  transport::StopSignal ended_;
  transport::ServerConnection loading_;
  grpc::ClientContext context_;
  transport::StopSignal::Scope scope_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ServeRequest, v1::ServeResponse>>
      stream_;
  absl::Mutex write_mutex_;
  bool half_closed_ ABSL_GUARDED_BY(write_mutex_) = false;
  Inbox loads_;
  Inbox batches_;
};

ServeLoop::ServeLoop(transport::ServerConnection& connection,
                     const transport::StopSignal& drain, ServeOptions options)
    : connection_(connection),
      drain_(drain),
      options_(std::move(options)),
      versions_(options_.device),
      decoder_(options_.decoder_program),
      pool_(options_.decode_threads) {}

void ServeLoop::Run() {
  transport::BackOff back_off;
  while (!drain_.stopped()) {
    const absl::Time begin = absl::Now();
    const absl::Status status = Stream(*this).Run();
    if (drain_.stopped()) return;
    if (absl::Now() - begin > absl::Minutes(1)) back_off.Reset();
    const absl::Duration delay = back_off.Next();
    spdlog::warn(
        "the stream of batches ended ({}); trying again in {:.1f} s",
        status.ok() ? "the server closed it" : std::string(status.message()),
        absl::ToDoubleSeconds(delay));
    drain_.WaitFor(delay);
  }
}

}  // namespace attune::serve
