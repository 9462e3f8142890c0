#include "storage/sqlite/blob_writer.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/blob_table.h"

namespace attune::storage {

SqliteBlobWriter::~SqliteBlobWriter() {
  // What cannot be removed now is removed when the store is opened again.
  if (unfinished_ != 0) {
    RemoveUnfinished(database_, {unfinished_}).IgnoreError();
  }
}

absl::Status SqliteBlobWriter::Append(absl::string_view bytes) {
  hash_.Update(bytes);
  size_bytes_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    if (buffer_.empty() && bytes.size() >= kChunkBytes) {
      ATTUNE_RETURN_IF_ERROR(StoreChunk(bytes.substr(0, kChunkBytes)));
      bytes.remove_prefix(kChunkBytes);
      continue;
    }
    const size_t taken = std::min(bytes.size(), kChunkBytes - buffer_.size());
    buffer_.append(bytes.data(), taken);
    bytes.remove_prefix(taken);
    if (buffer_.size() == kChunkBytes) {
      ATTUNE_RETURN_IF_ERROR(StoreChunk(buffer_));
      buffer_.clear();
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteBlobWriter::StoreChunk(absl::string_view bytes) {
  int64_t id = unfinished_;
  ATTUNE_RETURN_IF_ERROR(
      database_.Write([&](Connection& connection) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(
            AdmitBlobs(connection, disk_, static_cast<int64_t>(bytes.size())));
        if (id == 0) {
          ATTUNE_ASSIGN_OR_RETURN(
              id, InsertBlob(connection, std::nullopt, 0, clock_.Now()));
        }
        return InsertChunk(connection, id, chunks_, bytes);
      }));
  unfinished_ = id;
  ++chunks_;
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqliteBlobWriter::Commit(
    absl::string_view expected_digest) {
  const std::string digest = hash_.FinishHex();
  if (!expected_digest.empty() && expected_digest != digest) {
    return Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                 absl::StrCat("the bytes have SHA-256 ", digest, " instead of ",
                              expected_digest, "; send them again"));
  }
  ATTUNE_RETURN_IF_ERROR(Finish(digest));
  return digest;
}

absl::Status SqliteBlobWriter::Finish(const std::string& digest) {
  const absl::Time now = clock_.Now();
  bool kept = false;
  ATTUNE_RETURN_IF_ERROR(
      database_.Write([&](Connection& connection) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const bool there,
                                TouchBlob(connection, digest, now));
        if (there) return absl::OkStatus();
        ATTUNE_RETURN_IF_ERROR(AdmitBlobs(
            connection, disk_, static_cast<int64_t>(buffer_.size())));
        int64_t id = unfinished_;
        if (id == 0) {
          ATTUNE_ASSIGN_OR_RETURN(
              id, InsertBlob(connection, digest, size_bytes_, now));
        } else {
          ATTUNE_RETURN_IF_ERROR(
              FinishBlob(connection, id, digest, size_bytes_, now));
        }
        kept = true;
        if (buffer_.empty()) return absl::OkStatus();
        return InsertChunk(connection, id, chunks_, buffer_);
      }));
  if (kept) unfinished_ = 0;
  return absl::OkStatus();
}

}  // namespace attune::storage
