#ifndef ATTUNE_SERVER_CORE_MODELS_VERSION_RESOLVER_H_
#define ATTUNE_SERVER_CORE_MODELS_VERSION_RESOLVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/core/models/served_version.h"
#include "server/core/models/watched_state_store.h"
#include "storage/blob_store.h"

namespace attune::core {

// Finds the version that a selector means, with what serving needs, and
// remembers it until a model changes. Thread-safe.
class VersionResolver {
 public:
  using Result = std::shared_ptr<const ServedVersion>;

  // The arguments outlive the resolver.
  VersionResolver(WatchedStateStore& state, const storage::BlobStore& blobs)
      : state_(state), blobs_(blobs) {}

  // The version when it is remembered, else null. Never blocks.
  Result Cached(absl::string_view selector) const;

  // Blocks on the disk. The errors of ParseSelector, naming `field`;
  // NOT_FOUND; DATA_LOSS when the version's logit scale or linear head cannot
  // be read.
  absl::StatusOr<Result> Resolve(absl::string_view field,
                                 absl::string_view selector);

 private:
  struct Entry {
    uint64_t generation;
    Result version;
  };

  absl::StatusOr<double> ReadScale(
      const storage::TensorManifest& manifest) const;

  WatchedStateStore& state_;
  const storage::BlobStore& blobs_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_VERSION_RESOLVER_H_
