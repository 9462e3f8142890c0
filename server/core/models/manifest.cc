#include "server/core/models/manifest.h"

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::core {

absl::Status CheckBlobs(const storage::BlobStore& blobs,
                        const storage::TensorManifest& manifest) {
  for (const storage::TensorEntry& tensor : manifest) {
    const absl::StatusOr<int64_t> size = blobs.Size(tensor.blob_digest);
    if (absl::IsNotFound(size.status())) {
      return Error(
          absl::StatusCode::kFailedPrecondition, "BLOB_MISSING",
          absl::StrCat("blob ", tensor.blob_digest, " of tensor '", tensor.name,
                       "' is not stored: call PutBlobs first"));
    }
    ATTUNE_RETURN_IF_ERROR(size.status());
    if (*size != tensor.size_bytes) {
      return Error(absl::StatusCode::kInvalidArgument, "INVALID_MANIFEST",
                   absl::StrCat("the blob of tensor '", tensor.name, "' has ",
                                *size, " bytes, not ", tensor.size_bytes));
    }
  }
  return absl::OkStatus();
}

}  // namespace attune::core
