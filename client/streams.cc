// The downloads and watches of AttuneClient.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/attune_client.h"
#include "client/file_writer.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/delimited.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// What a download has received, checked against its End message.
class ReceivedBytes {
 public:
  void Add(absl::string_view chunk) {
    digest_.Update(chunk);
    size_ += static_cast<int64_t>(chunk.size());
  }

  // DATA_LOSS unless `end` has come and names what has arrived. Call once.
  template <typename End>
  absl::Status Verify(const End* end) {
    if (end != nullptr && end->size_bytes() == size_ &&
        end->sha256() == digest_.FinishHex()) {
      return absl::OkStatus();
    }
    return Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                 absl::StrCat("the ", size_,
                              " bytes received do not have the size and "
                              "SHA-256 that the server announced: try again"));
  }

 private:
  Sha256 digest_;
  int64_t size_ = 0;
};

void SetDeadline(grpc::ClientContext& context, absl::Time deadline) {
  context.set_deadline(absl::ToChronoTime(deadline));
}

}  // namespace

absl::Status AttuneClient::DownloadExamples(
    const std::string& dataset,
    const std::function<absl::Status(const v1::Example&)>& visit) {
  grpc::ClientContext context;
  SetDeadline(context, absl::Now() + options_.transfer_timeout);
  v1::DownloadExamplesRequest request;
  request.set_dataset(dataset);
  auto reader = datasets_->DownloadExamples(&context, request);
  ReceivedBytes received;
  DelimitedDecoder decoder;
  v1::Example example;
  v1::DownloadExamplesResponse message;
  std::unique_ptr<v1::UploadExamplesRequest::End> end;
  // Every example that `chunk` completes.
  const auto take = [&](const std::string& chunk) -> absl::Status {
    received.Add(chunk);
    decoder.Feed(chunk);
    while (true) {
      ATTUNE_ASSIGN_OR_RETURN(const bool found, decoder.Next(&example));
      if (!found) return absl::OkStatus();
      ATTUNE_RETURN_IF_ERROR(visit(example));
    }
  };
  absl::Status status;
  while (status.ok() && reader->Read(&message)) {
    if (message.has_end()) {
      end = std::make_unique<v1::UploadExamplesRequest::End>(message.end());
    } else {
      status = take(message.chunk());
    }
  }
  if (!status.ok()) context.TryCancel();
  const grpc::Status finished = reader->Finish();
  ATTUNE_RETURN_IF_ERROR(status);
  ATTUNE_RETURN_IF_ERROR(ToError(finished));
  ATTUNE_RETURN_IF_ERROR(received.Verify(end.get()));
  return decoder.Finish();
}

absl::Status AttuneClient::ExportOnce(
    const v1::Version& version, absl::Time deadline,
    const std::function<absl::Status(absl::string_view)>& write) {
  grpc::ClientContext context;
  SetDeadline(context, deadline);
  v1::ExportVersionRequest request;
  request.set_version(absl::StrCat(version.model(), ":", version.number()));
  auto reader = models_->ExportVersion(&context, request);
  ReceivedBytes received;
  v1::ExportVersionResponse message;
  std::unique_ptr<v1::ImportModelRequest::End> end;
  absl::Status status;
  while (status.ok() && reader->Read(&message)) {
    if (message.has_end()) {
      end = std::make_unique<v1::ImportModelRequest::End>(message.end());
    } else {
      received.Add(message.chunk());
      status = write(message.chunk());
    }
  }
  if (!status.ok()) context.TryCancel();
  const grpc::Status finished = reader->Finish();
  ATTUNE_RETURN_IF_ERROR(status);
  ATTUNE_RETURN_IF_ERROR(ToError(finished));
  return received.Verify(end.get());
}

absl::StatusOr<int64_t> AttuneClient::ExportVersion(
    const std::string& version, const std::string& path,
    const TransferProgress& progress) {
  // Resolved once, so that a second try writes the same version.
  v1::GetVersionRequest get;
  get.set_version(version);
  ATTUNE_ASSIGN_OR_RETURN(const v1::Version resolved, GetVersion(get));
  const absl::Time deadline = absl::Now() + options_.transfer_timeout;
  int64_t written = 0;
  ATTUNE_RETURN_IF_ERROR(
      RetryUnavailable(options_.retry, deadline, [&]() -> absl::Status {
        written = 0;
        FileWriter file(path);
        ATTUNE_RETURN_IF_ERROR(
            ExportOnce(resolved, deadline, [&](absl::string_view chunk) {
              written += static_cast<int64_t>(chunk.size());
              if (progress) {
                progress(written, std::max(written, resolved.size_bytes()));
              }
              return file.Write(chunk);
            }));
        return file.Commit();
      }));
  return written;
}

absl::Status AttuneClient::WatchOnce(
    const std::function<absl::Status(const v1::WatchJobResponse&)>& visit,
    v1::WatchJobRequest* request, v1::Job* job) {
  // Without a deadline, as jobs take hours; keepalive notices a dead
  // connection.
  grpc::ClientContext context;
  auto reader = jobs_->WatchJob(&context, *request);
  v1::WatchJobResponse message;
  while (reader->Read(&message)) {
    if (!message.cursor().empty()) request->set_cursor(message.cursor());
    if (message.has_job()) *job = message.job();
    if (absl::Status status = visit(message); !status.ok()) {
      context.TryCancel();
      reader->Finish().ok();
      return status;
    }
  }
  return ToError(reader->Finish());
}

absl::StatusOr<v1::Job> AttuneClient::WatchJob(
    const std::string& id,
    const std::function<absl::Status(const v1::WatchJobResponse&)>& visit,
    absl::Duration patience) {
  v1::WatchJobRequest request;
  request.set_id(id);
  v1::Job job;
  while (true) {
    // Every message that arrives renews the patience: a watch outlives any
    // number of short interruptions.
    bool moved = false;
    RetryPolicy policy = options_.retry;
    policy.max_attempts = job.id().empty() ? policy.max_attempts : 1'000;
    const absl::Status status =
        RetryUnavailable(policy, absl::Now() + patience, [&] {
          absl::Status once = WatchOnce(
              [&](const v1::WatchJobResponse& message) {
                moved = true;
                return visit(message);
              },
              &request, &job);
          // Leave the loop to begin a new term.
          return moved && absl::IsUnavailable(once) ? absl::OkStatus() : once;
        });
    if (!status.ok()) return status;
    if (IsFinal(job.state())) return job;
    if (!moved) {
      return Error(absl::StatusCode::kInternal, "WATCH_ENDED",
                   absl::StrCat("the server stopped watching ", id,
                                " although the job has not ended"));
    }
  }
}

}  // namespace attune::client
