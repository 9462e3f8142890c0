#ifndef ATTUNE_SERVER_CORE_MANIFEST_H_
#define ATTUNE_SERVER_CORE_MANIFEST_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/blob_store.h"
#include "storage/records.h"

namespace attune::core {

// INVALID_ARGUMENT, reason INVALID_MANIFEST, naming the tensor, unless names
// are sorted and distinct, digests are SHA-256 and sizes fit types and shapes.
absl::Status ValidateManifest(const storage::TensorManifest& manifest);

// SHA-256 over names, types, shapes and digests of the tensors: the identity
// of a version. REQUIRES: the manifest is valid.
std::string ManifestDigest(const storage::TensorManifest& manifest);

// Fills digest, tensor_count, parameter_count, size_bytes and own_size_bytes,
// the bytes of blobs that `base` does not have (empty: there is no base).
void DescribeManifest(const storage::TensorManifest& manifest,
                      const storage::TensorManifest& base,
                      storage::Version& version);

// Whether every blob is stored with the size that the manifest gives.
// FAILED_PRECONDITION, reason BLOB_MISSING; INVALID_ARGUMENT, reason
// INVALID_MANIFEST, when a size differs. Blocks on the disk.
absl::Status CheckBlobs(const storage::BlobStore& blobs,
                        const storage::TensorManifest& manifest);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MANIFEST_H_
