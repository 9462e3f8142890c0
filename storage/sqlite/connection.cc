#include "storage/sqlite/connection.h"

#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "storage/sqlite/query.h"

namespace attune::storage {
namespace {

// How long a statement waits for another process, such as a backup.
constexpr int kBusyTimeoutMilliseconds = 5000;

// The WAL file is cut to this size when it is reset after a checkpoint, which
// SQLite tries at every 64 MiB.
constexpr int kCheckpointBytes = 64 << 20;
constexpr int kJournalSizeLimitBytes = 128 << 20;
constexpr int kCacheKibibytes = 16 << 10;

}  // namespace

// Connections are never shared between threads at a time, so SQLite's own
// mutex on them is not needed.
Connection::Connection(const std::string& path, Access access, int page_size)
    : database_(
          path,
          SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX,
          kBusyTimeoutMilliseconds) {
  sqlite3_extended_result_codes(database_.getHandle(), 1);
  if (access == Access::kWriter) {
    database_.exec(absl::StrCat("PRAGMA page_size = ", page_size,
                                "; PRAGMA journal_mode = WAL"));
  }
  // Debian's SQLite overwrites deleted content with zeros by default, which
  // would write every freed page once more.
  database_.exec(absl::StrCat(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
      "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
      "PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY;"
      "PRAGMA wal_autocheckpoint = ",
      kCheckpointBytes / page_size, "; PRAGMA journal_size_limit = ",
      kJournalSizeLimitBytes, "; PRAGMA cache_size = ", -kCacheKibibytes));
  if (access == Access::kReader) SetReadOnly(true);
}

SQLite::Statement& Connection::Prepare(absl::string_view sql) {
  if (expects_transaction_ && !InTransaction()) {
    throw SQLite::Exception("an earlier failure rolled the transaction back",
                            SQLITE_ABORT_ROLLBACK);
  }
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    std::string text(sql);
    auto statement = std::make_unique<SQLite::Statement>(database_, text);
    found = statements_.emplace(std::move(text), std::move(statement)).first;
  }
  return *found->second;
}

absl::Status Connection::RunTransaction(
    absl::string_view begin, absl::FunctionRef<absl::Status()> body) {
  auto end = absl::MakeCleanup([this] {
    expects_transaction_ = false;
    if (InTransaction()) database_.tryExec("ROLLBACK");
  });
  ATTUNE_RETURN_IF_ERROR(Execute(*this, begin));
  expects_transaction_ = true;
  ATTUNE_RETURN_IF_ERROR(body());
  return Execute(*this, "COMMIT");
}

void Connection::SetReadOnly(bool read_only) {
  database_.exec(absl::StrCat("PRAGMA query_only = ", read_only ? 1 : 0));
}

bool Connection::InTransaction() const {
  return sqlite3_get_autocommit(database_.getHandle()) == 0;
}

}  // namespace attune::storage
