#include "server/services/example_streams.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/delimited.h"
#include "common/status_macros.h"
#include "server/services/dataset_codec.h"
#include "server/services/request_key.h"

namespace attune::services {
namespace {

// Rows of a download that are read at a time.
constexpr int kRowsPerRead = 100;

absl::Status BadStream(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM", message);
}

class ExampleUpload final : public UploadHandler<v1::UploadExamplesRequest,
                                                 v1::UploadExamplesResponse> {
 public:
  explicit ExampleUpload(core::DatasetManager& datasets)
      : datasets_(datasets) {}

  absl::Status OnMessage(v1::UploadExamplesRequest& request) override {
    return Settle(TakeMessage(request));
  }

  absl::Status OnEnd(v1::UploadExamplesResponse* response) override {
    // A cut may look like an end: the stream's last read and its cancellation
    // come in any order.
    if (upload_ != nullptr && !end_.has_value()) {
      OnCut();
      return Commit(response);
    }
    return Settle(Commit(response));
  }

  void OnCut() override {
    // After the end message nothing but the answer is missing.
    if (upload_ == nullptr || end_.has_value()) return;
    upload_->Keep(examples_end_, hash_.SaveState());
  }

 private:
  absl::Status Settle(absl::Status status) {
    if (upload_ != nullptr && !status.ok()) upload_->GiveUp(status);
    return status;
  }

  absl::Status TakeMessage(const v1::UploadExamplesRequest& request) {
    if (end_.has_value()) {
      return BadStream("the stream goes on after its end message");
    }
    if (upload_ == nullptr && !request.has_header()) {
      return BadStream("the header must come first");
    }
    switch (request.part_case()) {
      case v1::UploadExamplesRequest::kHeader:
        return OnHeader(request.header());
      case v1::UploadExamplesRequest::kChunk:
        return OnChunk(request.chunk());
      case v1::UploadExamplesRequest::kEnd:
        end_ = request.end();
        return absl::OkStatus();
      case v1::UploadExamplesRequest::PART_NOT_SET:
        break;
    }
    return BadStream("a message has neither header, chunk nor end");
  }

  absl::Status Commit(v1::UploadExamplesResponse* response) {
    if (upload_ == nullptr) return BadStream("the stream has no header");
    if (!end_.has_value()) {
      return BadStream("the stream ends without its end message");
    }
    if (size_bytes_ == 0 && end_->size_bytes() == 0) {
      return BadStream("the stream has no data");
    }
    hash_.Update(decoder_.rest());
    if (end_->size_bytes() != size_bytes_ ||
        end_->sha256() != hash_.FinishHex()) {
      return Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                   absl::StrCat("the examples arrived damaged (", size_bytes_,
                                " bytes of ", end_->size_bytes(),
                                "): none was stored, send them again"));
    }
    ATTUNE_RETURN_IF_ERROR(decoder_.Finish());
    ATTUNE_ASSIGN_OR_RETURN(
        const int64_t added,
        upload_->Commit(MakeStreamKey("UploadExamples", header_.dataset(),
                                      end_->sha256(), header_.request_id())));
    ATTUNE_ASSIGN_OR_RETURN(const core::DatasetView view,
                            datasets_.Get(header_.dataset()));
    response->set_added_count(added);
    *response->mutable_dataset() = ToProto(view);
    return absl::OkStatus();
  }

  absl::Status OnHeader(const v1::UploadExamplesRequest::Header& header) {
    if (upload_ != nullptr) return BadStream("the header came twice");
    ATTUNE_ASSIGN_OR_RETURN(
        upload_, datasets_.BeginUpload(header.dataset(), header.request_id(),
                                       header.offset()));
    header_ = header;
    if (upload_->start_offset() == 0) return absl::OkStatus();
    std::optional<Sha256> hash =
        Sha256::RestoreState(upload_->start_hash_state());
    if (!hash.has_value()) {
      return absl::InternalError("the state of the upload's digest is none");
    }
    hash_ = *std::move(hash);
    size_bytes_ = examples_end_ = upload_->start_offset();
    return absl::OkStatus();
  }

  absl::Status OnChunk(const std::string& chunk) {
    if (chunk.size() > kMaxChunkBytes) {
      return BadStream(absl::StrCat("a chunk has ", chunk.size(),
                                    " bytes, more than ", kMaxChunkBytes));
    }
    size_bytes_ += static_cast<int64_t>(chunk.size());
    decoder_.Feed(chunk);
    while (true) {
      ATTUNE_ASSIGN_OR_RETURN(const bool found, decoder_.Next(&example_));
      if (!found) return absl::OkStatus();
      // Example by example, since an upload can go on after any of them.
      hash_.Update(decoder_.last_message());
      examples_end_ += static_cast<int64_t>(decoder_.last_message().size());
      ATTUNE_RETURN_IF_ERROR(upload_->Add(TakeExample(example_)));
      if (!upload_->batch_is_full()) continue;
      ATTUNE_RETURN_IF_ERROR(
          upload_->StoreBatch(examples_end_, hash_.SaveState()));
    }
  }

  core::DatasetManager& datasets_;
  v1::UploadExamplesRequest::Header header_;
  std::unique_ptr<core::DatasetUpload> upload_;
  DelimitedDecoder decoder_;
  v1::Example example_;
  Sha256 hash_;  // of the whole examples, and at the end of all bytes
  int64_t examples_end_ = 0;
  int64_t size_bytes_ = 0;
  std::optional<v1::UploadExamplesRequest::End> end_;
};

// The head of a field of bytes or of a message on the wire.
void AppendFieldHead(int field, uint64_t size, std::string* out) {
  using ::google::protobuf::internal::WireFormatLite;
  google::protobuf::io::StringOutputStream stream(out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(WireFormatLite::MakeTag(
      field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  coded.WriteVarint64(size);
}

// Writes the examples by hand, the pictures a piece at a time: however large
// they are, a download holds one piece and one chunk.
class ExampleDownload final
    : public DownloadHandler<v1::DownloadExamplesResponse> {
 public:
  ExampleDownload(const core::DatasetManager& datasets,
                  const storage::BlobStore& blobs, std::string dataset)
      : datasets_(datasets), blobs_(blobs), dataset_(std::move(dataset)) {}

  absl::StatusOr<bool> Next(v1::DownloadExamplesResponse* response) override {
    if (ended_) return false;
    while (buffer_.size() < kMaxChunkBytes && !read_all_) {
      ATTUNE_RETURN_IF_ERROR(ReadMore());
    }
    if (buffer_.empty()) {
      ended_ = true;
      response->mutable_end()->set_size_bytes(size_bytes_);
      response->mutable_end()->set_sha256(hash_.FinishHex());
      return true;
    }
    response->set_chunk(buffer_.substr(0, kMaxChunkBytes));
    buffer_.erase(0, response->chunk().size());
    hash_.Update(response->chunk());
    size_bytes_ += static_cast<int64_t>(response->chunk().size());
    return true;
  }

 private:
  // Appends a piece of a picture or the start of the next example.
  absl::Status ReadMore() {
    if (picture_ != nullptr) {
      ATTUNE_ASSIGN_OR_RETURN(const std::string piece, picture_->Next());
      if (piece.empty()) picture_ = nullptr;
      buffer_ += piece;
      return absl::OkStatus();
    }
    if (!clean_image_head_.empty()) {
      buffer_ += std::exchange(clean_image_head_, "");
      picture_ = blobs_.NewReader(rows_[next_row_ - 1].clean_image_digest);
      return absl::OkStatus();
    }
    if (next_row_ == rows_.size()) {
      ATTUNE_ASSIGN_OR_RETURN(
          rows_, datasets_.ListExamples(dataset_, last_id_, kRowsPerRead));
      next_row_ = 0;
      if (rows_.empty()) {
        read_all_ = true;
        return absl::OkStatus();
      }
      last_id_ = rows_.back().id;
    }
    return BeginExample(rows_[next_row_++]);
  }

  absl::Status BeginExample(const storage::Example& row) {
    std::string head = ToProto(row).SerializeAsString();
    ATTUNE_ASSIGN_OR_RETURN(const int64_t image_bytes,
                            blobs_.Size(row.image_digest));
    AppendFieldHead(v1::Example::kImageFieldNumber, image_bytes, &head);
    int64_t size = static_cast<int64_t>(head.size()) + image_bytes;
    if (!row.clean_image_digest.empty()) {
      // A second part of the pair, which parsers merge with the first.
      ATTUNE_ASSIGN_OR_RETURN(const int64_t clean_bytes,
                              blobs_.Size(row.clean_image_digest));
      std::string field;
      AppendFieldHead(v1::Example::Pair::kCleanImageFieldNumber, clean_bytes,
                      &field);
      AppendFieldHead(v1::Example::kPairFieldNumber, field.size() + clean_bytes,
                      &clean_image_head_);
      clean_image_head_ += field;
      size += static_cast<int64_t>(clean_image_head_.size()) + clean_bytes;
    }
    {
      google::protobuf::io::StringOutputStream stream(&buffer_);
      google::protobuf::io::CodedOutputStream(&stream).WriteVarint64(size);
    }
    buffer_ += head;
    picture_ = blobs_.NewReader(row.image_digest);
    return absl::OkStatus();
  }

  const core::DatasetManager& datasets_;
  const storage::BlobStore& blobs_;
  const std::string dataset_;
  std::vector<storage::Example> rows_;
  size_t next_row_ = 0;
  int64_t last_id_ = 0;
  bool read_all_ = false;
  // What is being read, and what follows it.
  std::unique_ptr<storage::BlobReader> picture_;
  std::string clean_image_head_;
  // Read and not sent.
  std::string buffer_;
  Sha256 hash_;
  int64_t size_bytes_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<
    UploadHandler<v1::UploadExamplesRequest, v1::UploadExamplesResponse>>
NewExampleUpload(core::DatasetManager& datasets) {
  return std::make_unique<ExampleUpload>(datasets);
}

std::unique_ptr<DownloadHandler<v1::DownloadExamplesResponse>>
NewExampleDownload(const core::DatasetManager& datasets,
                   const storage::BlobStore& blobs, std::string dataset) {
  return std::make_unique<ExampleDownload>(datasets, blobs, std::move(dataset));
}

}  // namespace attune::services
