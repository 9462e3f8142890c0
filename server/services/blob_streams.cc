#include "server/services/blob_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::services {
namespace {

// Blobs up to one chunk are stored many to a transaction, larger ones each by a
// writer of its own.
constexpr size_t kBatchBytes = size_t{16} << 20;

absl::Status BadStream(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM", message);
}

absl::Status Damaged(const std::string& digest) {
  return Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
               absl::StrCat("blob ", digest,
                            " arrived damaged: it was not stored, send it "
                            "again"));
}

class BlobUpload final
    : public UploadHandler<v1::PutBlobsRequest, v1::PutBlobsResponse> {
 public:
  BlobUpload(const core::TaskReports& reports, storage::BlobStore& blobs)
      : reports_(reports), blobs_(blobs) {}

  absl::Status OnMessage(v1::PutBlobsRequest& request) override {
    if (!admitted_) {
      ATTUNE_RETURN_IF_ERROR(reports_.Check(request.lease_token()));
      admitted_ = true;
    }
    if (request.chunk().size() > kMaxChunkBytes) {
      return BadStream(absl::StrCat("a chunk has ", request.chunk().size(),
                                    " bytes, more than ", kMaxChunkBytes));
    }
    if (!request.digest().empty()) ATTUNE_RETURN_IF_ERROR(BeginBlob(request));
    if (!open_) {
      return BadStream("a blob's first chunk must have digest and size_bytes");
    }
    if (static_cast<int64_t>(request.chunk().size()) > missing_bytes_) {
      return BadStream(
          absl::StrCat("blob ", digest_, " is longer than its size_bytes"));
    }
    missing_bytes_ -= static_cast<int64_t>(request.chunk().size());
    if (writer_ != nullptr) {
      ATTUNE_RETURN_IF_ERROR(writer_->Append(request.chunk()));
    } else {
      small_.back().second.append(request.chunk());
    }
    return missing_bytes_ == 0 ? EndBlob() : absl::OkStatus();
  }

  absl::Status OnEnd(v1::PutBlobsResponse* response) override {
    if (!admitted_) return BadStream("the stream has no data");
    if (open_) return BadStream(absl::StrCat("blob ", digest_, " is cut off"));
    ATTUNE_RETURN_IF_ERROR(StoreSmall());
    response->set_stored_count(stored_count_);
    return absl::OkStatus();
  }

 private:
  absl::Status BeginBlob(const v1::PutBlobsRequest& request) {
    if (open_) {
      return BadStream(absl::StrCat("blob ", digest_, " is cut off"));
    }
    if (!IsSha256Hex(request.digest())) {
      return InvalidField("digest", "is not a SHA-256");
    }
    if (request.size_bytes() < 0) {
      return InvalidField("size_bytes", "must not be negative");
    }
    open_ = true;
    digest_ = request.digest();
    missing_bytes_ = request.size_bytes();
    if (missing_bytes_ > kMaxChunkBytes) {
      writer_ = blobs_.NewWriter();
    } else {
      small_.push_back({digest_, ""});
    }
    return absl::OkStatus();
  }

  absl::Status EndBlob() {
    open_ = false;
    ++stored_count_;
    if (writer_ != nullptr) {
      const absl::Status status = writer_->Commit(digest_).status();
      writer_ = nullptr;
      return status;
    }
    if (Sha256Hex(small_.back().second) != digest_) return Damaged(digest_);
    small_bytes_ += small_.back().second.size();
    return small_bytes_ < kBatchBytes ? absl::OkStatus() : StoreSmall();
  }

  absl::Status StoreSmall() {
    std::vector<storage::BlobView> views;
    for (const auto& [digest, bytes] : small_) views.push_back({digest, bytes});
    ATTUNE_RETURN_IF_ERROR(blobs_.Put(views));
    small_.clear();
    small_bytes_ = 0;
    return absl::OkStatus();
  }

  const core::TaskReports& reports_;
  storage::BlobStore& blobs_;
  bool admitted_ = false;
  // The blob that arrives.
  bool open_ = false;
  std::string digest_;
  int64_t missing_bytes_ = 0;
  std::unique_ptr<storage::BlobWriter> writer_;
  // Digest and bytes of small blobs that are not stored yet.
  std::vector<std::pair<std::string, std::string>> small_;
  size_t small_bytes_ = 0;
  int64_t stored_count_ = 0;
};

class BlobDownload final : public DownloadHandler<v1::GetBlobsResponse> {
 public:
  BlobDownload(const storage::BlobStore& blobs,
               const v1::GetBlobsRequest& request)
      : blobs_(blobs), request_(request) {}

  absl::StatusOr<bool> Next(v1::GetBlobsResponse* response) override {
    if (index_ < 0) ATTUNE_RETURN_IF_ERROR(ValidateDigests(request_.digests()));
    if (reader_ == nullptr) {
      if (++index_ == request_.digests_size()) return false;
      reader_ = blobs_.NewReader(request_.digests(index_));
      ATTUNE_RETURN_IF_ERROR(ReadPiece());
    }
    const size_t size =
        std::min(piece_.size() - sent_, static_cast<size_t>(kMaxChunkBytes));
    response->set_index(index_);
    response->set_chunk(piece_.substr(sent_, size));
    sent_ += size;
    // Now, because the last chunk says that it is the last.
    if (sent_ == piece_.size() && !piece_.empty()) {
      ATTUNE_RETURN_IF_ERROR(ReadPiece());
    }
    response->set_last(piece_.empty());
    if (piece_.empty()) reader_ = nullptr;
    return true;
  }

 private:
  absl::Status ReadPiece() {
    ATTUNE_ASSIGN_OR_RETURN(piece_, reader_->Next());
    sent_ = 0;
    return absl::OkStatus();
  }

  const storage::BlobStore& blobs_;
  const v1::GetBlobsRequest request_;
  int index_ = -1;
  // Of the blob at index_; nullptr before and after it.
  std::unique_ptr<storage::BlobReader> reader_;
  std::string piece_;
  size_t sent_ = 0;  // of piece_
};

}  // namespace

absl::Status ValidateDigests(
    const google::protobuf::RepeatedPtrField<std::string>& digests) {
  if (digests.size() > kMaxDigests) {
    return InvalidField("digests", "must be at most 10,000");
  }
  for (int i = 0; i < digests.size(); ++i) {
    if (!IsSha256Hex(digests[i])) {
      return InvalidField(absl::StrCat("digests[", i, "]"), "is not a SHA-256");
    }
  }
  return absl::OkStatus();
}

std::unique_ptr<UploadHandler<v1::PutBlobsRequest, v1::PutBlobsResponse>>
NewBlobUpload(const core::TaskReports& reports, storage::BlobStore& blobs) {
  return std::make_unique<BlobUpload>(reports, blobs);
}

std::unique_ptr<DownloadHandler<v1::GetBlobsResponse>> NewBlobDownload(
    const storage::BlobStore& blobs, const v1::GetBlobsRequest& request) {
  return std::make_unique<BlobDownload>(blobs, request);
}

}  // namespace attune::services
