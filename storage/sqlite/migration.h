// Brings a database to the schema that this build knows.

#ifndef ATTUNE_STORAGE_SQLITE_MIGRATION_H_
#define ATTUNE_STORAGE_SQLITE_MIGRATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sqlite/connection.h"

namespace attune::storage {

// storage/schema: the numbered scripts in order, built into the program.
// Script i makes version i + 1 (PRAGMA user_version) out of version i.
struct Schema {
  // PRAGMA application_id: which of the two databases this is.
  int32_t application_id = 0;
  std::vector<absl::string_view> migrations;
};

const Schema& StateSchema();
const Schema& BlobSchema();

// Runs the missing scripts, each in one transaction with its version number,
// so that a crash leaves the version before or after it.
// FAILED_PRECONDITION, reason SCHEMA_TOO_NEW, when a newer build has written
// the database; reason WRONG_DATABASE when it is not this kind of database.
absl::Status Migrate(Connection& connection, const Schema& schema);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_MIGRATION_H_
