// One writing connection and a few reading ones of a database file.

#ifndef ATTUNE_STORAGE_SQLITE_DATABASE_H_
#define ATTUNE_STORAGE_SQLITE_DATABASE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/migration.h"
#include "storage/sqlite/sqlite_stores.h"

namespace attune::storage {

// Thread-safe. ":memory:" has a single connection, for which readers wait too.
class Database {
 public:
  // Opens and migrates; see Migrate for the errors. `name` is what the
  // observer of `options` is told.
  static absl::StatusOr<std::unique_ptr<Database>> Open(
      const std::string& path, const std::string& name, int page_size,
      const Schema& schema, const SqliteOptions& options);

  // Opens a file for reading alone, perhaps beside the process that writes it.
  // NOT_FOUND, reason NOT_FOUND, when it is missing; the errors of
  // CheckVersion.
  static absl::StatusOr<std::unique_ptr<Database>> OpenForReading(
      const std::string& path, const Schema& schema);

  // In one BEGIN IMMEDIATE transaction, rolled back when `body` fails.
  // FAILED_PRECONDITION, reason READ_ONLY, when it was opened for reading.
  absl::Status Write(absl::FunctionRef<absl::Status(Connection&)> body)
      ABSL_LOCKS_EXCLUDED(writer_mutex_);

  // Copies it as of one moment to the file `destination`; see CopyDatabase.
  absl::Status Copy(const std::string& destination)
      ABSL_LOCKS_EXCLUDED(readers_mutex_);

  // On one snapshot; changes are refused.
  absl::Status Read(absl::FunctionRef<absl::Status(Connection&)> body)
      ABSL_LOCKS_EXCLUDED(readers_mutex_, writer_mutex_);

 private:
  Database(std::string name, const SqliteOptions& options)
      : name_(std::move(name)), options_(options) {}

  absl::Status ReadInMemory(absl::FunctionRef<absl::Status(Connection&)> body)
      ABSL_LOCKS_EXCLUDED(writer_mutex_);
  absl::Status WithReader(absl::FunctionRef<absl::Status(Connection&)> body)
      ABSL_LOCKS_EXCLUDED(readers_mutex_);
  bool HasIdleReader() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(readers_mutex_) {
    return !idle_readers_.empty();
  }

  const std::string name_;
  const SqliteOptions options_;
  bool in_memory_ = false;

  absl::Mutex writer_mutex_;
  std::unique_ptr<Connection> writer_ ABSL_GUARDED_BY(writer_mutex_);

  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<Connection>> idle_readers_
      ABSL_GUARDED_BY(readers_mutex_);
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_DATABASE_H_
