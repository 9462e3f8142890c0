#include "server/services/example_streams.h"

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

class ExampleDownload final
    : public DownloadHandler<v1::DownloadExamplesResponse> {
 public:
  ExampleDownload(const core::DatasetManager& datasets,
                  const storage::BlobStore& blobs, std::string dataset)
      : datasets_(datasets), blobs_(blobs), dataset_(std::move(dataset)) {}

  absl::StatusOr<bool> Next(v1::DownloadExamplesResponse* response) override {
    if (ended_) return false;
    // Whole chunks, so that the buffer holds at most one and an example.
    while (buffer_.size() - sent_ < kMaxChunkBytes && !read_all_) {
      ATTUNE_RETURN_IF_ERROR(ReadExample());
    }
    const size_t bytes =
        std::min(buffer_.size() - sent_, static_cast<size_t>(kMaxChunkBytes));
    if (bytes == 0) {
      ended_ = true;
      response->mutable_end()->set_size_bytes(size_bytes_);
      response->mutable_end()->set_sha256(hash_.FinishHex());
      return true;
    }
    response->set_chunk(buffer_.substr(sent_, bytes));
    hash_.Update(response->chunk());
    size_bytes_ += static_cast<int64_t>(bytes);
    sent_ += bytes;
    return true;
  }

 private:
  // Appends the next example to the buffer.
  absl::Status ReadExample() {
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
    const storage::Example& row = rows_[next_row_++];
    v1::Example example = ToProto(row);
    ATTUNE_ASSIGN_OR_RETURN(*example.mutable_image(),
                            blobs_.ReadAll(row.image_digest));
    if (!row.clean_image_digest.empty()) {
      ATTUNE_ASSIGN_OR_RETURN(*example.mutable_pair()->mutable_clean_image(),
                              blobs_.ReadAll(row.clean_image_digest));
    }
    buffer_.erase(0, sent_);
    sent_ = 0;
    AppendDelimited(example, &buffer_);
    return absl::OkStatus();
  }

  const core::DatasetManager& datasets_;
  const storage::BlobStore& blobs_;
  const std::string dataset_;
  std::vector<storage::Example> rows_;
  size_t next_row_ = 0;
  int64_t last_id_ = 0;
  bool read_all_ = false;
  std::string buffer_;
  size_t sent_ = 0;  // of buffer_
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
