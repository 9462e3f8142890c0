// The uploads of AttuneClient, which go on where they were cut.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/attune_client.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/delimited.h"
#include "common/ids.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

// Sends bytes as chunks of kMaxChunkBytes and remembers their digest. The first
// `skipped` bytes, which the server has, are not sent.
template <typename Request>
class ChunkSender {
 public:
  ChunkSender(grpc::ClientWriter<Request>& writer, int64_t skipped)
      : writer_(writer), skipped_(skipped) {}

  // Sends the full chunks of `*pending` and leaves the rest in it. False when
  // the server has ended the call.
  bool SendFull(std::string* pending) {
    size_t at = Skip(*pending);
    bool open = true;
    for (; open && pending->size() - at >= size_t{kMaxChunkBytes};
         at += kMaxChunkBytes) {
      open = Send(pending->data() + at, kMaxChunkBytes);
    }
    pending->erase(0, at);
    return open;
  }

  // Sends what is left, then the size and digest of everything.
  void SendEnd(const std::string& rest) {
    const size_t at = Skip(rest);
    if (at < rest.size() && !Send(rest.data() + at, rest.size() - at)) return;
    Request request;
    request.mutable_end()->set_size_bytes(sent_bytes_);
    request.mutable_end()->set_sha256(digest_.FinishHex());
    writer_.WriteLast(request, grpc::WriteOptions());
  }

  int64_t sent_bytes() const { return sent_bytes_; }

 private:
  // Passes over what of `bytes` is not to be sent; returns how much that is.
  size_t Skip(const std::string& bytes) {
    const auto size =
        static_cast<size_t>(std::min(skipped_ - std::min(skipped_, sent_bytes_),
                                     static_cast<int64_t>(bytes.size())));
    digest_.Update({bytes.data(), size});
    sent_bytes_ += static_cast<int64_t>(size);
    return size;
  }

  bool Send(const char* data, size_t size) {
    request_.set_chunk(data, size);
    digest_.Update({data, size});
    sent_bytes_ += static_cast<int64_t>(size);
    return writer_.Write(request_);
  }

  grpc::ClientWriter<Request>& writer_;
  const int64_t skipped_;
  Request request_;
  Sha256 digest_;
  int64_t sent_bytes_ = 0;
};

// What a look at a cut upload finds.
enum class Cut {
  kSame,       // nothing more has been kept
  kMoved,      // a part of the last try has been kept
  kCommitted,  // its answer was lost, and nothing else
};

// Runs `once` until it succeeds or something else than an interruption ends it.
// `look` is called before every try but the first, and sees to where the next
// one begins; a part that was kept begins a new series of tries.
absl::Status RetryUpload(const RetryPolicy& policy, absl::Time deadline,
                         const std::function<absl::Status()>& once,
                         const std::function<absl::StatusOr<Cut>()>& look) {
  bool tried = false;
  bool done = false;
  while (true) {
    bool moved = false;
    const absl::Status status =
        RetryUnavailable(policy, deadline, [&]() -> absl::Status {
          if (tried) {
            ATTUNE_ASSIGN_OR_RETURN(const Cut cut, look());
            done = cut == Cut::kCommitted;
            if (done) return absl::OkStatus();
            moved = moved || cut == Cut::kMoved;
          }
          tried = true;
          absl::Status status = once();
          done = !absl::IsUnavailable(status);
          return moved && !done ? absl::OkStatus() : status;
        });
    if (done || !status.ok()) return status;
  }
}

// The offset of a cut upload; an older server keeps nothing.
template <typename Reply, typename Header>
absl::StatusOr<Cut> TakeOffset(const absl::StatusOr<Reply>& reply,
                               Header& header) {
  if (absl::IsUnimplemented(reply.status())) return Cut::kSame;
  if (!reply.ok()) return reply.status();
  if (reply->committed()) return Cut::kCommitted;
  const bool moved = reply->offset() > header.offset();
  header.set_offset(reply->offset());
  return moved ? Cut::kMoved : Cut::kSame;
}

}  // namespace

absl::StatusOr<v1::UploadExamplesResponse> AttuneClient::UploadOnce(
    const v1::UploadExamplesRequest::Header& header,
    const ExampleSource& source, const TransferProgress& progress,
    absl::Time deadline) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  v1::UploadExamplesResponse response;
  auto writer = datasets_->UploadExamples(&context, &response);
  v1::UploadExamplesRequest request;
  *request.mutable_header() = header;
  bool open = writer->Write(request);
  ChunkSender<v1::UploadExamplesRequest> sender(*writer, header.offset());
  std::string pending;
  for (int64_t i = 0; open && i < source.count; ++i) {
    absl::StatusOr<v1::Example> example = source.read(i);
    if (!example.ok()) {
      context.TryCancel();
      writer->Finish().ok();
      return example.status();
    }
    AppendDelimited(*example, &pending);
    open = sender.SendFull(&pending);
    if (progress) progress(sender.sent_bytes(), -1);
  }
  // A server that refuses ends the call early; Finish then says why.
  if (open) sender.SendEnd(pending);
  ATTUNE_RETURN_IF_ERROR(ToError(writer->Finish()));
  return response;
}

absl::StatusOr<v1::UploadExamplesResponse> AttuneClient::UploadExamples(
    const std::string& dataset, const ExampleSource& source,
    const TransferProgress& progress) {
  v1::UploadExamplesRequest::Header header;
  header.set_dataset(dataset);
  header.set_request_id(NewUuid());
  const absl::Time deadline = absl::Now() + options_.transfer_timeout;
  absl::StatusOr<v1::UploadExamplesResponse> response;
  const auto once = [&] {
    response = UploadOnce(header, source, progress, deadline);
    return response.status();
  };
  const auto look = [&]() -> absl::StatusOr<Cut> {
    v1::GetUploadRequest get;
    get.set_dataset(dataset);
    get.set_request_id(header.request_id());
    const absl::StatusOr<v1::Upload> upload = GetUpload(get);
    ATTUNE_ASSIGN_OR_RETURN(const Cut cut, TakeOffset(upload, header));
    if (cut != Cut::kCommitted) return cut;
    v1::GetDatasetRequest get_dataset;
    get_dataset.set_name(dataset);
    response = v1::UploadExamplesResponse();
    response->set_added_count(upload->added_count());
    ATTUNE_ASSIGN_OR_RETURN(*response->mutable_dataset(),
                            GetDataset(get_dataset));
    return cut;
  };
  ATTUNE_RETURN_IF_ERROR(RetryUpload(options_.retry, deadline, once, look));
  return response;
}

absl::StatusOr<v1::Version> AttuneClient::ImportOnce(
    const v1::ImportModelRequest::Header& header, const std::string& path,
    const TransferProgress& progress, absl::Time deadline) {
  std::ifstream file(path, std::ios::binary);
  std::error_code code;
  const auto total = std::filesystem::file_size(path, code);
  if (!file || code) {
    return Error(absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
                 absl::StrCat("cannot read the file ", path));
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  v1::Version version;
  auto writer = models_->ImportModel(&context, &version);
  v1::ImportModelRequest request;
  *request.mutable_header() = header;
  bool open = writer->Write(request);
  ChunkSender<v1::ImportModelRequest> sender(*writer, header.offset());
  std::string pending;
  std::string piece(kMaxChunkBytes, '\0');
  while (open && file) {
    file.read(piece.data(), kMaxChunkBytes);
    pending.append(piece, 0, static_cast<size_t>(file.gcount()));
    open = sender.SendFull(&pending);
    if (progress) progress(sender.sent_bytes(), static_cast<int64_t>(total));
  }
  if (open) sender.SendEnd(pending);
  ATTUNE_RETURN_IF_ERROR(ToError(writer->Finish()));
  return version;
}

absl::StatusOr<v1::Version> AttuneClient::ImportModel(
    const std::string& model, const std::string& path,
    const TransferProgress& progress) {
  v1::ImportModelRequest::Header header;
  header.set_model(model);
  header.set_request_id(NewUuid());
  const absl::Time deadline = absl::Now() + options_.transfer_timeout;
  absl::StatusOr<v1::Version> version;
  const auto once = [&] {
    version = ImportOnce(header, path, progress, deadline);
    return version.status();
  };
  const auto look = [&]() -> absl::StatusOr<Cut> {
    v1::GetImportRequest get;
    get.set_model(model);
    get.set_request_id(header.request_id());
    const absl::StatusOr<v1::Import> import = GetImport(get);
    ATTUNE_ASSIGN_OR_RETURN(const Cut cut, TakeOffset(import, header));
    if (cut != Cut::kCommitted) return cut;
    v1::GetVersionRequest get_version;
    get_version.set_version(import->version());
    version = GetVersion(get_version);
    if (!version.ok()) return version.status();
    return cut;
  };
  ATTUNE_RETURN_IF_ERROR(RetryUpload(options_.retry, deadline, once, look));
  return version;
}

}  // namespace attune::client
