#include "storage/blob_store.h"

#include "common/status_macros.h"

namespace attune::storage {

absl::StatusOr<std::string> BlobStore::ReadAll(absl::string_view digest) const {
  std::string bytes;
  ATTUNE_RETURN_IF_ERROR(Read(digest, [&](absl::string_view piece) {
    bytes.append(piece.data(), piece.size());
    return absl::OkStatus();
  }));
  return bytes;
}

}  // namespace attune::storage
