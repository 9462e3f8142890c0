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
#include "storage/disk_space.h"
#include "storage/state_store.h"

namespace attune::storage {

// What is read of a database when it is opened. DATA_LOSS, reason
// DATABASE_DAMAGED, when it is not in order.
enum class IntegrityCheck {
  kNone,
  // state.db: its pages and references; blobs.db: the table of blobs, not
  // their bytes.
  kQuick,
  // Every page of both, and that indexes and tables agree. VerifyBlobs
  // (storage/verification.h) reads what the pages say.
  kFull,
};

struct SqliteOptions {
  // Outlives the store. Wall time dates blobs, monotonic time measures.
  Clock* clock = &Clock::Real();
  // Called after every writing transaction, committed or not, on its thread
  // and before the next one starts, with "state" or "blobs" and how long it
  // took without the wait for its turn. May be empty. Must not use the store.
  std::function<void(absl::string_view database, absl::Duration)> on_write = {};
  // Who may still write when the disk fills up. Outlives the store; nullptr:
  // everybody until it is full.
  DiskSpace* disk = nullptr;
  IntegrityCheck check = IntegrityCheck::kNone;
  // Bring an older database to this build's schema. Not so for a program that
  // works beside a running server.
  bool migrate = true;
};

// `path` is a file, made and migrated when needed, or ":memory:". A file of an
// older build is first copied to PATH.vN, N its version.
// FAILED_PRECONDITION, reason SCHEMA_TOO_NEW, when a newer build has written
// it, reason WRONG_DATABASE when it is something else; DATA_LOSS when it is
// damaged; UNAVAILABLE when it cannot be opened.
// REQUIRES: this process holds the data folder's lock (DataDirLock), or does
// not migrate.
absl::StatusOr<std::unique_ptr<StateStore>> OpenStateStore(
    const std::string& path, const SqliteOptions& options = {});

// As OpenStateStore. Removes what writers that a crash cut off have left.
// Collects no garbage while a backup holds PATH.lock: UNAVAILABLE, reason
// LOCKED.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(
    const std::string& path, const SqliteOptions& options = {});

// The stores of a data folder for reading alone, also while its server runs:
// what would change them is FAILED_PRECONDITION, reason READ_ONLY. NOT_FOUND
// without the file; FAILED_PRECONDITION, reason SCHEMA_TOO_NEW,
// SCHEMA_TOO_OLD or WRONG_DATABASE.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStoreForReading(
    const std::string& path);

// The lock that keeps garbage collection off the blobs at `path` while they are
// copied.
std::string BlobLockPath(const std::string& path);

// Bytes of the write-ahead log of the database at `path`; 0 when it has none.
int64_t WalBytes(const std::string& path);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_SQLITE_STORES_H_
