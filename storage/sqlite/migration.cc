#include "storage/sqlite/migration.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/query.h"

extern "C" {
extern const char attune_state_0001_begin[];
extern const char attune_state_0001_end[];
extern const char attune_blobs_0001_begin[];
extern const char attune_blobs_0001_end[];
}

namespace attune::storage {
namespace {

absl::string_view Script(const char* begin, const char* end) {
  return absl::string_view(begin, end - begin);
}

absl::StatusOr<int64_t> Pragma(Connection& connection, absl::string_view name) {
  return SelectOne(connection, absl::InternalError("no such pragma"), ReadInt64,
                   absl::StrCat("PRAGMA ", name));
}

absl::Status RunScript(Connection& connection, const std::string& script) {
  try {
    connection.database().exec(script);
    return absl::OkStatus();
  } catch (...) {
    return CurrentExceptionStatus();
  }
}

absl::Status CheckKind(Connection& connection, const Schema& schema,
                       int64_t version) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t id,
                          Pragma(connection, "application_id"));
  ATTUNE_ASSIGN_OR_RETURN(
      const int64_t tables,
      SelectOne(connection, absl::InternalError("no count"), ReadInt64,
                "SELECT COUNT(*) FROM sqlite_schema"));
  const bool fresh = version == 0 && id == 0 && tables == 0;
  if (fresh || (version > 0 && id == schema.application_id)) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kFailedPrecondition, "WRONG_DATABASE",
               absl::StrCat(connection.database().getFilename(),
                            " holds something else than expected; choose "
                            "another data folder"));
}

}  // namespace

const Schema& StateSchema() {
  static const Schema& schema = *new Schema{
      0x4174534c, {Script(attune_state_0001_begin, attune_state_0001_end)}};
  return schema;
}

const Schema& BlobSchema() {
  static const Schema& schema = *new Schema{
      0x4174424c, {Script(attune_blobs_0001_begin, attune_blobs_0001_end)}};
  return schema;
}

absl::Status Migrate(Connection& connection, const Schema& schema) {
  ATTUNE_ASSIGN_OR_RETURN(int64_t version, Pragma(connection, "user_version"));
  ATTUNE_RETURN_IF_ERROR(CheckKind(connection, schema, version));
  const int64_t known = static_cast<int64_t>(schema.migrations.size());
  if (version > known) {
    return Error(
        absl::StatusCode::kFailedPrecondition, "SCHEMA_TOO_NEW",
        absl::StrCat(connection.database().getFilename(), " has version ",
                     version, " and this build knows ", known,
                     "; start the newer build or restore a backup"));
  }
  if (version == known) return absl::OkStatus();
  // A script may rebuild a table that others refer to; the check at its end
  // takes the place of the enforcement.
  ATTUNE_RETURN_IF_ERROR(RunScript(connection, "PRAGMA foreign_keys = OFF"));
  for (; version < known; ++version) {
    ATTUNE_RETURN_IF_ERROR(
        connection.RunTransaction("BEGIN IMMEDIATE", [&]() -> absl::Status {
          ATTUNE_RETURN_IF_ERROR(RunScript(
              connection,
              absl::StrCat(schema.migrations[version],
                           ";PRAGMA application_id = ", schema.application_id,
                           ";PRAGMA user_version = ", version + 1)));
          ATTUNE_ASSIGN_OR_RETURN(
              const auto violations,
              SelectAll(connection, ReadText, "PRAGMA foreign_key_check"));
          if (violations.empty()) return absl::OkStatus();
          return Error(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED",
                       absl::StrCat("rows of ", violations.front(),
                                    " refer to missing ones"));
        }));
  }
  return RunScript(connection, "PRAGMA foreign_keys = ON");
}

}  // namespace attune::storage
