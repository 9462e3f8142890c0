#include "server/services/watch_streams.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/error.h"
#include "common/grpc/status_conversion.h"
#include "common/status_macros.h"
#include "server/services/job_codec.h"
#include "server/services/page_token.h"
#include "server/services/unary_call.h"

namespace attune::services {
namespace {

constexpr CallName kWatchJob = {"JobService", "WatchJob"};

std::string EncodeCursor(const std::string& job,
                         const core::WatchPosition& position) {
  return EncodePageToken(absl::StrCat("WatchJob/", job),
                         absl::StrCat(position.step, ".", position.event));
}

absl::StatusOr<core::WatchPosition> DecodeCursor(const std::string& job,
                                                 const std::string& cursor) {
  core::WatchPosition position;
  if (cursor.empty()) return position;
  const absl::StatusOr<std::string> text =
      DecodePageToken(absl::StrCat("WatchJob/", job), cursor);
  if (text.ok()) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(*text, absl::MaxSplits('.', 1));
    if (absl::SimpleAtoi(parts.first, &position.step) &&
        absl::SimpleAtoi(parts.second, &position.event)) {
      return position;
    }
  }
  return InvalidFields(
      "INVALID_CURSOR",
      {{"cursor",
        "is not a cursor of this job: leave it empty to begin with "
        "the first metric row"}});
}

}  // namespace

// One call. Owns itself. At any time it is idle, or busy: a read of the job is
// queued or running on the executor, or a message is on its way.
class WatchStream final
    : public grpc::ServerWriteReactor<v1::WatchJobResponse> {
 public:
  WatchStream(WatchStreams& owner, std::string id, core::WatchPosition position)
      : owner_(owner),
        timer_(owner.environment_, kWatchJob),
        id_(std::move(id)),
        position_(position) {}

  void Start() {
    // Before the first read, so that no change falls between the two.
    watch_ = owner_.signals_.Watch(id_, [this] { Changed(); });
    Changed();
  }

  // The job has changed; does not block.
  void Changed() {
    {
      absl::MutexLock lock(&mutex_);
      changed_ = true;
      if (busy_) return;
      busy_ = true;
    }
    Submit();
  }

  // Whether the job was in the queue when it was last looked at.
  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }
  // REQUIRES: before the stream is known to WatchStreams.
  void SetCaller(Caller caller, Slots::Slot slot) {
    caller_ = std::move(caller);
    slot_ = std::move(slot);
  }
  const Caller& caller() const { return caller_; }

  // Ends a call that was not started.
  void Refuse(const absl::Status& status) { End(status); }

  // Ends the call as soon as it is idle.
  void Close(absl::Status status) {
    {
      absl::MutexLock lock(&mutex_);
      if (closing_.ok()) closing_ = std::move(status);
    }
    Changed();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError("the client went away"));
    if (ended_) return End(absl::OkStatus());
    Submit();
  }

  void OnCancel() override {
    Close(absl::CancelledError("the client cancelled the call"));
  }

  void OnDone() override {
    if (watch_ != 0) owner_.signals_.Unwatch(watch_);
    {
      absl::MutexLock lock(&owner_.mutex_);
      owner_.streams_.erase(this);
    }
    timer_.Ended();
    delete this;
  }

 private:
  ~WatchStream() override = default;

  // REQUIRES: busy_.
  void Submit() {
    if (!owner_.environment_.executor->Submit([this] { Advance(); })) {
      End(DrainingError());
    }
  }

  // Writes what is new, or becomes idle.
  void Advance() {
    while (true) {
      absl::Status closing;
      {
        absl::MutexLock lock(&mutex_);
        closing = closing_;
        if (closing.ok() && !changed_ && !more_) {
          busy_ = false;
          return;
        }
        changed_ = false;
      }
      if (!closing.ok()) return End(closing);
      bool news = false;
      const absl::Status status =
          CatchExceptions([&] { return ReadNews(&news); });
      if (!status.ok()) return End(status);
      if (news) return StartWrite(&response_);
      if (ended_) return End(absl::OkStatus());
    }
  }

  absl::Status ReadNews(bool* news) {
    ATTUNE_ASSIGN_OR_RETURN(const core::JobUpdate update,
                            owner_.jobs_.Update(id_, position_));
    position_ = update.position;
    more_ = update.more;
    ended_ = storage::IsTerminal(update.job.state) && !update.more;
    waiting_ = update.job.state == storage::JobState::kQueued;
    response_.Clear();
    *response_.mutable_job() = ToProto(update.job);
    for (const storage::MetricRow& row : update.metrics) {
      *response_.add_metrics() = ToProto(row);
    }
    for (const storage::JobEvent& event : update.events) {
      *response_.add_events() = ToProto(event);
    }
    response_.set_cursor(EncodeCursor(id_, position_));
    std::string job = response_.job().SerializeAsString();
    *news =
        !update.metrics.empty() || !update.events.empty() || job != last_job_;
    last_job_ = std::move(job);
    return absl::OkStatus();
  }

  void End(const absl::Status& status) {
    {
      // Stays so: nothing begins any more.
      absl::MutexLock lock(&mutex_);
      busy_ = true;
    }
    timer_.SetOutcome(status);
    Finish(ToGrpcStatus(status));
  }

  WatchStreams& owner_;
  CallTimer timer_;
  Caller caller_;
  Slots::Slot slot_;
  const std::string id_;
  int64_t watch_ = 0;
  std::atomic<bool> waiting_ = false;

  absl::Mutex mutex_;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status closing_ ABSL_GUARDED_BY(mutex_);

  // Of whoever made the stream busy.
  core::WatchPosition position_;
  bool more_ = false;
  bool ended_ = false;
  std::string last_job_;
  v1::WatchJobResponse response_;
};

grpc::ServerWriteReactor<v1::WatchJobResponse>* WatchStreams::Begin(
    grpc::CallbackServerContext* context, const v1::WatchJobRequest* request) {
  const absl::StatusOr<core::WatchPosition> position =
      DecodeCursor(request->id(), request->cursor());
  auto* stream = new WatchStream(*this, request->id(),
                                 position.value_or(core::WatchPosition()));
  Caller caller;
  absl::Status admitted =
      AdmitCall(environment_, kWatchJob, *context, request->ByteSizeLong(),
                kMaxUnaryBytes, &caller);
  Slots::Slot slot;
  if (admitted.ok() && environment_.watches() != nullptr) {
    admitted = environment_.watches()->Take(&slot);
  }
  stream->SetCaller(std::move(caller), std::move(slot));
  admitted.Update(position.status());
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) admitted.Update(DrainingError());
    // CloseAll ends those that it finds: a refused one must not be among them.
    if (admitted.ok()) streams_.insert(stream);
  }
  if (admitted.ok()) {
    stream->Start();
  } else {
    stream->Refuse(admitted);
  }
  return stream;
}

void WatchStreams::RefreshWaiting() {
  absl::MutexLock lock(&mutex_);
  for (WatchStream* stream : streams_) {
    if (stream->waiting()) stream->Changed();
  }
}

void WatchStreams::CloseRefused() {
  absl::MutexLock lock(&mutex_);
  for (WatchStream* stream : streams_) {
    if (absl::Status allowed = CheckCaller(environment_, stream->caller());
        !allowed.ok()) {
      stream->Close(std::move(allowed));
    }
  }
}

void WatchStreams::CloseAll() {
  // A stream is erased by its OnDone, which waits for this lock: those that
  // are seen here live.
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (WatchStream* stream : streams_) stream->Close(DrainingError());
}

}  // namespace attune::services
