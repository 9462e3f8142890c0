// What a version is made of, and the one way in which one is added.

#ifndef ATTUNE_SERVER_CORE_MODELS_VERSION_H_
#define ATTUNE_SERVER_CORE_MODELS_VERSION_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/state_store.h"

namespace attune::core {

// INVALID_ARGUMENT, reason INVALID_MANIFEST, naming the tensor: names sorted
// and distinct, sizes positive and equal to shape × type, digests well formed.
absl::Status ValidateManifest(const storage::TensorManifest& manifest);

// The identity of a version: SHA-256 over its configuration and the names,
// types, shapes and digests of its tensors. Equal digests give equal
// embeddings. REQUIRES: sorted by name.
std::string VersionDigest(const storage::ClipConfig& config,
                          const storage::TensorManifest& manifest);

// Adds the next version of version.model, which is made when it does not
// exist. Source, lineage, time and configuration are the caller's; the digest,
// the counts and the sizes (own bytes against version.base) are filled in, and
// the number is the store's. `move_latest` moves the alias "latest" to it.
// Returns the version as it was stored. NOT_FOUND when version.base is named
// and does not exist.
// REQUIRES: the blobs are durable; ValidateManifest is OK.
absl::StatusOr<storage::Version> AddVersion(
    storage::StateTransaction& transaction, storage::Version version,
    const storage::TensorManifest& manifest, bool move_latest);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_VERSION_H_
