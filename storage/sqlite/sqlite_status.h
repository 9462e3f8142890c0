// The one place where SQLite's and the JSON reader's exceptions become Status.

#ifndef ATTUNE_STORAGE_SQLITE_SQLITE_STATUS_H_
#define ATTUNE_STORAGE_SQLITE_SQLITE_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace attune::storage {

// The Status of an SQLite result code, plain or extended:
//   BUSY, LOCKED           UNAVAILABLE, DATABASE_BUSY
//   IOERR and others       UNAVAILABLE, DISK_ERROR
//   FULL                   RESOURCE_EXHAUSTED, DISK_FULL
//   CORRUPT, NOTADB        DATA_LOSS, DATABASE_DAMAGED
//   READONLY               FAILED_PRECONDITION, READ_ONLY
//   CONSTRAINT_UNIQUE …    ALREADY_EXISTS, ALREADY_EXISTS
//   CONSTRAINT_FOREIGNKEY  FAILED_PRECONDITION, STILL_IN_USE
//   CONSTRAINT, MISMATCH   INVALID_ARGUMENT, CONSTRAINT_VIOLATED
//   anything else          INTERNAL, DATABASE_ERROR
absl::Status SqliteStatus(int code, absl::string_view message);

// The Status of the exception being handled: SQLite's as above; JSON that does
// not parse or has other types than expected DATA_LOSS, DATABASE_DAMAGED; text
// that is not UTF-8 INVALID_ARGUMENT, INVALID_TEXT; memory that ran out
// RESOURCE_EXHAUSTED, OUT_OF_MEMORY.
// REQUIRES: called in a catch block.
absl::Status CurrentExceptionStatus();

// `status`, or where it is ALREADY_EXISTS, that with a message for people:
// `what` is "dataset", "job" …
absl::Status AlreadyExistsAs(absl::Status status, absl::string_view what,
                             absl::string_view name);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_SQLITE_STATUS_H_
