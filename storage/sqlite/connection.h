// An SQLite connection with its prepared statements.

#ifndef ATTUNE_STORAGE_SQLITE_CONNECTION_H_
#define ATTUNE_STORAGE_SQLITE_CONNECTION_H_

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace attune::storage {

enum class Access { kWriter, kReader };

// Used by one thread at a time. The members throw SQLite::Exception but for
// RunTransaction: use it through query.h and Database, which return Status.
class Connection {
 public:
  // Opens the file (made when it is missing) with the settings of the project:
  // WAL, synchronous=FULL, foreign keys, schema not trusted. `page_size` holds
  // for a new file. A kReader refuses every change.
  Connection(const std::string& path, Access access, int page_size);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The statement for `sql`, prepared once, reset and without bindings. Throws
  // also when SQLite has rolled the transaction back by itself (disk full), so
  // that no later statement of it is committed alone.
  SQLite::Statement& Prepare(absl::string_view sql);

  // Runs `body` between `begin` (such as "BEGIN IMMEDIATE") and COMMIT, rolls
  // back when it fails.
  absl::Status RunTransaction(absl::string_view begin,
                              absl::FunctionRef<absl::Status()> body);

  // Whether changes are refused.
  void SetReadOnly(bool read_only);

  SQLite::Database& database() { return database_; }

 private:
  bool InTransaction() const;

  SQLite::Database database_;
  bool expects_transaction_ = false;
  absl::flat_hash_map<std::string, std::unique_ptr<SQLite::Statement>>
      statements_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_CONNECTION_H_
