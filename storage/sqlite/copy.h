#ifndef ATTUNE_STORAGE_SQLITE_COPY_H_
#define ATTUNE_STORAGE_SQLITE_COPY_H_

#include <string>

#include "absl/status/status.h"
#include "storage/sqlite/connection.h"

namespace attune::storage {

// Copies the database to the file `path` as of one moment, beside any writer
// (SQLite's online backup); a file of that name is replaced. The copy is there
// whole and durable, or not at all: it is made in PATH.partial.
absl::Status CopyDatabase(Connection& source, const std::string& path);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_COPY_H_
