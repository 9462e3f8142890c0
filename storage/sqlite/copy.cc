#include "storage/sqlite/copy.h"

#include <SQLiteCpp/Backup.h>
#include <sqlite3.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "storage/files.h"
#include "storage/sqlite/sqlite_status.h"

namespace attune::storage {
namespace {

void RemoveDatabase(const std::string& path) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::filesystem::remove(absl::StrCat(path, suffix), ignored);
  }
}

}  // namespace

absl::Status CopyDatabase(Connection& source, const std::string& path) {
  const std::string partial = absl::StrCat(path, ".partial");
  RemoveDatabase(partial);
  try {
    SQLite::Database copy(partial,
                          SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    // In one step, so that a writer cannot make it start again.
    SQLite::Backup backup(copy, source.database());
    const int result = backup.executeStep(-1);
    if (result != SQLITE_DONE) {
      return SqliteStatus(result, absl::StrCat("cannot copy to ", partial));
    }
  } catch (...) {
    const absl::Status status = CurrentExceptionStatus();
    RemoveDatabase(partial);
    return status;
  }
  return RenameDurably(partial, path);
}

}  // namespace attune::storage
