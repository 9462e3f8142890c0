#ifndef ATTUNE_SERVER_CORE_MODELS_MANIFEST_H_
#define ATTUNE_SERVER_CORE_MODELS_MANIFEST_H_

#include "absl/status/status.h"
#include "storage/blob_store.h"
#include "storage/records.h"

namespace attune::core {

// Whether every blob of a manifest is stored with the size that it gives.
// FAILED_PRECONDITION, reason BLOB_MISSING; INVALID_ARGUMENT, reason
// INVALID_MANIFEST, when a size differs. Blocks on the disk.
absl::Status CheckBlobs(const storage::BlobStore& blobs,
                        const storage::TensorManifest& manifest);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_MANIFEST_H_
