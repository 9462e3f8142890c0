// Brings a database to the schema that this build knows.

#ifndef ATTUNE_STORAGE_SQLITE_MIGRATION_H_
#define ATTUNE_STORAGE_SQLITE_MIGRATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/sqlite_stores.h"

namespace attune::storage {

// storage/schema: the numbered scripts in order, built into the program.
// Script i makes version i + 1 (PRAGMA user_version) out of version i.
struct Schema {
  // PRAGMA application_id: which of the two databases this is.
  int32_t application_id = 0;
  std::vector<absl::string_view> migrations;
  // What the quick integrity check looks at: the argument of
  // PRAGMA quick_check, "" for everything.
  absl::string_view quick_check = "";
};

const Schema& StateSchema();
const Schema& BlobSchema();

// Whether the database is in order: IntegrityCheck says how much is read.
// DATA_LOSS, reason DATABASE_DAMAGED.
absl::Status CheckIntegrity(Connection& connection, const Schema& schema,
                            IntegrityCheck check);

// OK when the database is of this kind and this build's version.
// FAILED_PRECONDITION, reason WRONG_DATABASE, SCHEMA_TOO_NEW or
// SCHEMA_TOO_OLD.
absl::Status CheckVersion(Connection& connection, const Schema& schema);

// Runs the missing scripts, each in one transaction with its version number,
// so that a crash leaves the version before or after it. A file that has a
// version already is copied to PATH.vN first, whole or not at all.
// FAILED_PRECONDITION, reason SCHEMA_TOO_NEW, when a newer build has written
// the database; reason WRONG_DATABASE when it is not this kind of database.
absl::Status Migrate(Connection& connection, const Schema& schema);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_MIGRATION_H_
