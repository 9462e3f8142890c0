#include "storage/sqlite/migration.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/copy.h"
#include "storage/sqlite/query.h"

// The scripts' bytes, as storage/sqlite/CMakeLists.txt embeds them.
#define ATTUNE_SCRIPT(name)                                            \
  extern "C" const char name##_begin[];                                \
  extern "C" const char name##_end[];                                  \
  static absl::string_view name() {                                    \
    return absl::string_view(name##_begin, name##_end - name##_begin); \
  }
ATTUNE_SCRIPT(attune_state_0001)
ATTUNE_SCRIPT(attune_state_0002)
ATTUNE_SCRIPT(attune_state_0003)
ATTUNE_SCRIPT(attune_state_0004)
ATTUNE_SCRIPT(attune_state_0005)
ATTUNE_SCRIPT(attune_state_0006)
ATTUNE_SCRIPT(attune_blobs_0001)
#undef ATTUNE_SCRIPT

namespace attune::storage {
namespace {

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

absl::Status TooNew(Connection& connection, int64_t version, int64_t known) {
  return Error(
      absl::StatusCode::kFailedPrecondition, "SCHEMA_TOO_NEW",
      absl::StrCat(connection.database().getFilename(), " has version ",
                   version, " and this build knows ", known,
                   "; start the newer build or restore a backup"));
}

// The file as the build of `version` left it, for the way back.
absl::Status KeepCopy(Connection& connection, int64_t version) {
  const std::string path = connection.database().getFilename();
  if (version == 0 || path.empty() || path == ":memory:") {
    return absl::OkStatus();
  }
  return CopyDatabase(connection, absl::StrCat(path, ".v", version));
}

absl::Status Damaged(Connection& connection, absl::string_view problem) {
  return Error(
      absl::StatusCode::kDataLoss, "DATABASE_DAMAGED",
      absl::StrCat(connection.database().getFilename(), " is damaged (",
                   problem, "); restore the data folder's backup"));
}

}  // namespace

absl::Status CheckIntegrity(Connection& connection, const Schema& schema,
                            IntegrityCheck check) {
  if (check == IntegrityCheck::kNone) return absl::OkStatus();
  std::string sql = "PRAGMA integrity_check(1)";
  if (check == IntegrityCheck::kQuick) {
    sql = "PRAGMA quick_check";
    if (!schema.quick_check.empty()) {
      // A database that has just been made has no such table.
      ATTUNE_ASSIGN_OR_RETURN(
          const int64_t there,
          SelectOne(connection, absl::InternalError("no count"), ReadInt64,
                    "SELECT COUNT(*) FROM sqlite_schema WHERE name = ?",
                    schema.quick_check));
      if (there == 0) return absl::OkStatus();
      absl::StrAppend(&sql, "(", schema.quick_check, ")");
    }
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> answers,
                          SelectAll(connection, ReadText, sql));
  if (answers.empty() || answers.front() != "ok") {
    return Damaged(connection, answers.empty() ? "no answer" : answers.front());
  }
  ATTUNE_ASSIGN_OR_RETURN(
      const std::vector<std::string> violations,
      SelectAll(connection, ReadText, "PRAGMA foreign_key_check"));
  if (violations.empty()) return absl::OkStatus();
  return Damaged(connection, absl::StrCat("rows of ", violations.front(),
                                          " refer to missing ones"));
}

absl::Status CheckVersion(Connection& connection, const Schema& schema) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t version,
                          Pragma(connection, "user_version"));
  ATTUNE_RETURN_IF_ERROR(CheckKind(connection, schema, version));
  const int64_t known = static_cast<int64_t>(schema.migrations.size());
  if (version > known) return TooNew(connection, version, known);
  if (version == known) return absl::OkStatus();
  return Error(
      absl::StatusCode::kFailedPrecondition, "SCHEMA_TOO_OLD",
      absl::StrCat(connection.database().getFilename(), " has version ",
                   version, " and this build writes ", known,
                   "; start the server of this build on it once"));
}

const Schema& StateSchema() {
  static const Schema& schema = *new Schema{
      0x4174534c,
      {attune_state_0001(), attune_state_0002(), attune_state_0003(),
       attune_state_0004(), attune_state_0005(), attune_state_0006()},
      /*quick_check=*/""};
  return schema;
}

const Schema& BlobSchema() {
  static const Schema& schema = *new Schema{0x4174424c,
                                            {attune_blobs_0001()},
                                            /*quick_check=*/"blobs"};
  return schema;
}

absl::Status Migrate(Connection& connection, const Schema& schema) {
  ATTUNE_ASSIGN_OR_RETURN(int64_t version, Pragma(connection, "user_version"));
  ATTUNE_RETURN_IF_ERROR(CheckKind(connection, schema, version));
  const int64_t known = static_cast<int64_t>(schema.migrations.size());
  if (version > known) return TooNew(connection, version, known);
  if (version == known) return absl::OkStatus();
  ATTUNE_RETURN_IF_ERROR(KeepCopy(connection, version));
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
