// Opens the stores that SQLite implements. Schema and settings:
// docs/storage_format.md.

#ifndef ATTUNE_STORAGE_SQLITE_SQLITE_STORES_H_
#define ATTUNE_STORAGE_SQLITE_SQLITE_STORES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::storage {

struct SqliteOptions {
  // Outlives the store. Wall time dates blobs, monotonic time measures.
  Clock* clock = &Clock::Real();
  // Called after every writing transaction, committed or not, on its thread
  // and before the next one starts, with "state" or "blobs" and how long it
  // took without the wait for its turn. May be empty. Must not use the store.
  std::function<void(absl::string_view database, absl::Duration)> on_write;
};

// `path` is a file, made and migrated when needed, or ":memory:".
// FAILED_PRECONDITION, reason SCHEMA_TOO_NEW, when a newer build has written
// it, reason WRONG_DATABASE when it is something else; DATA_LOSS when it is
// damaged; UNAVAILABLE when it cannot be opened.
// REQUIRES: this process holds the data folder's lock (DataDirLock).
absl::StatusOr<std::unique_ptr<StateStore>> OpenStateStore(
    const std::string& path, const SqliteOptions& options = {});

// As OpenStateStore. Removes what writers that a crash cut off have left.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(
    const std::string& path, const SqliteOptions& options = {});

// Bytes of the write-ahead log of the database at `path`; 0 when it has none.
int64_t WalBytes(const std::string& path);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_SQLITE_STORES_H_
