#include "storage/sqlite/blob_reader.h"

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::storage {
namespace {

absl::Status Damaged(absl::string_view digest) {
  return Error(
      absl::StatusCode::kDataLoss, "BLOB_DAMAGED",
      absl::StrCat("blob ", digest, " is damaged; restore it from a backup"));
}

}  // namespace

absl::StatusOr<std::string> SqliteBlobReader::Next() {
  if (next_chunk_ > 0 && done_bytes_ == blob_.size_bytes) return "";
  std::string chunk;
  ATTUNE_RETURN_IF_ERROR(
      database_.Read([&](Connection& connection) -> absl::Status {
        if (next_chunk_ == 0) {
          ATTUNE_ASSIGN_OR_RETURN(blob_, FindBlob(connection, digest_));
        }
        absl::StatusOr<std::string> read =
            ReadChunk(connection, blob_.id, next_chunk_);
        // Its pages do not hang together: the blob is what is lost.
        if (absl::IsDataLoss(read.status())) return Damaged(digest_);
        ATTUNE_RETURN_IF_ERROR(read.status());
        chunk = *std::move(read);
        return absl::OkStatus();
      }));
  ++next_chunk_;
  hash_.Update(chunk);
  done_bytes_ += static_cast<int64_t>(chunk.size());
  if (chunk.empty() && done_bytes_ < blob_.size_bytes) return MissingChunk();
  if (done_bytes_ > blob_.size_bytes) return Damaged(digest_);
  // Checked before the last piece is given away.
  if (done_bytes_ == blob_.size_bytes && hash_.FinishHex() != digest_) {
    return Damaged(digest_);
  }
  return chunk;
}

absl::Status SqliteBlobReader::MissingChunk() const {
  ATTUNE_RETURN_IF_ERROR(database_.Read([&](Connection& connection) {
    return FindBlob(connection, digest_).status();
  }));
  return Damaged(digest_);
}

}  // namespace attune::storage
