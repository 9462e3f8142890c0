#include "storage/blob_store.h"

#include "common/status_macros.h"

namespace attune::storage {

absl::Status BlobStore::Read(
    absl::string_view digest,
    absl::FunctionRef<absl::Status(absl::string_view)> sink) const {
  const std::unique_ptr<BlobReader> reader = NewReader(digest);
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(const std::string piece, reader->Next());
    if (piece.empty()) return absl::OkStatus();
    ATTUNE_RETURN_IF_ERROR(sink(piece));
  }
}

absl::StatusOr<std::string> BlobStore::ReadAll(absl::string_view digest) const {
  std::string bytes;
  ATTUNE_RETURN_IF_ERROR(Read(digest, [&](absl::string_view piece) {
    bytes.append(piece.data(), piece.size());
    return absl::OkStatus();
  }));
  return bytes;
}

}  // namespace attune::storage
