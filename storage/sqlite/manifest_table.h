// The tables manifests and tensors, which versions and checkpoints share.

#ifndef ATTUNE_STORAGE_SQLITE_MANIFEST_TABLE_H_
#define ATTUNE_STORAGE_SQLITE_MANIFEST_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/records.h"
#include "storage/sqlite/connection.h"

namespace attune::storage {

// Stores a manifest and returns its row; a checkpoint's has no digest.
// ALREADY_EXISTS when one with the digest is there; INVALID_ARGUMENT, reason
// DUPLICATE_TENSOR, when a name occurs twice.
absl::StatusOr<int64_t> InsertManifest(Connection& connection,
                                       const std::optional<std::string>& digest,
                                       const TensorManifest& manifest);

// Sorted by name; empty without such a row.
absl::StatusOr<TensorManifest> ReadManifest(Connection& connection,
                                            int64_t manifest);

// With its tensors. FAILED_PRECONDITION while something names it.
absl::Status DeleteManifest(Connection& connection, int64_t manifest);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_MANIFEST_TABLE_H_
