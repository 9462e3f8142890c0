#include "storage/sqlite/sqlite_status.h"

#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include <new>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune::storage {
namespace {

// nlohmann's number for a string that is not UTF-8.
constexpr int kInvalidUtf8 = 316;

absl::Status ConstraintStatus(int code, absl::string_view message) {
  switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", message);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return Error(absl::StatusCode::kFailedPrecondition, "STILL_IN_USE",
                   message);
    default:
      return Error(absl::StatusCode::kInvalidArgument, "CONSTRAINT_VIOLATED",
                   message);
  }
}

}  // namespace

absl::Status SqliteStatus(int code, absl::string_view message) {
  const std::string text = absl::StrCat("SQLite: ", message);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(absl::StatusCode::kUnavailable, "DATABASE_BUSY",
                   absl::StrCat(text, "; another process holds the database"));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
      return Error(absl::StatusCode::kUnavailable, "DISK_ERROR", text);
    case SQLITE_FULL:
      return Error(absl::StatusCode::kResourceExhausted, "DISK_FULL",
                   absl::StrCat(text, "; make room on the data folder's disk"));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED",
                   absl::StrCat(text, "; restore the data folder's backup"));
    case SQLITE_READONLY:
      return Error(absl::StatusCode::kFailedPrecondition, "READ_ONLY", text);
    case SQLITE_NOMEM:
      return Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", text);
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return ConstraintStatus(code, text);
    default:
      return Error(absl::StatusCode::kInternal, "DATABASE_ERROR", text);
  }
}

absl::Status CurrentExceptionStatus() {
  try {
    throw;
  } catch (const SQLite::Exception& error) {
    // The extended code belongs to the connection's last error, which is not
    // this one when SQLiteCpp itself found the fault.
    const int extended = error.getExtendedErrorCode();
    const int code = error.getErrorCode();
    return SqliteStatus((extended & 0xff) == (code & 0xff) ? extended : code,
                        error.what());
  } catch (const nlohmann::json::exception& error) {
    if (error.id == kInvalidUtf8) {
      return Error(absl::StatusCode::kInvalidArgument, "INVALID_TEXT",
                   error.what());
    }
    return Error(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED",
                 absl::StrCat("a JSON column is damaged: ", error.what()));
  } catch (const std::bad_alloc&) {
    return Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                 "the memory does not suffice");
  }
}

absl::Status AlreadyExistsAs(absl::Status status, absl::string_view what,
                             absl::string_view name) {
  if (!absl::IsAlreadyExists(status)) return status;
  return Error(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS",
               absl::StrCat("there is a ", what, " '", name, "' already"));
}

}  // namespace attune::storage
