// Statements with bound values and rows read in order; every exception becomes
// a Status here.

#ifndef ATTUNE_STORAGE_SQLITE_QUERY_H_
#define ATTUNE_STORAGE_SQLITE_QUERY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/sqlite_status.h"

namespace attune::storage {

// Binds as a BLOB; everything else binds as its type, times as nanoseconds
// since 1970, enums as their numbers. REQUIRES: !bytes.empty().
struct Blob {
  absl::string_view bytes;
};

inline void Bind(SQLite::Statement& statement, int index, int64_t value) {
  statement.bind(index, value);
}
inline void Bind(SQLite::Statement& statement, int index, int32_t value) {
  statement.bind(index, value);
}
inline void Bind(SQLite::Statement& statement, int index, bool value) {
  statement.bind(index, value ? 1 : 0);
}
inline void Bind(SQLite::Statement& statement, int index, double value) {
  statement.bind(index, value);
}
inline void Bind(SQLite::Statement& statement, int index,
                 const std::string& value) {
  statement.bindNoCopy(index, value);
}
inline void Bind(SQLite::Statement& statement, int index,
                 absl::string_view value) {
  statement.bind(index, std::string(value));
}
inline void Bind(SQLite::Statement& statement, int index, absl::Time value) {
  statement.bind(index, absl::ToUnixNanos(value));
}
inline void Bind(SQLite::Statement& statement, int index, Blob value) {
  statement.bindNoCopy(index, value.bytes.data(),
                       static_cast<int>(value.bytes.size()));
}
template <typename Enum>
requires std::is_enum_v<Enum>
void Bind(SQLite::Statement& statement, int index, Enum value) {
  statement.bind(index, static_cast<int32_t>(value));
}
template <typename T>
void Bind(SQLite::Statement& statement, int index,
          const std::optional<T>& value) {
  if (value.has_value()) {
    Bind(statement, index, *value);
  } else {
    statement.bind(index);
  }
}

// The current row of a statement. Each call reads the next column.
class Row {
 public:
  explicit Row(SQLite::Statement& statement) : statement_(statement) {}

  int64_t Int64() { return Next().getInt64(); }
  int32_t Int32() { return Next().getInt(); }
  bool Bool() { return Next().getInt() != 0; }
  double Real() { return Next().getDouble(); }
  std::string Text() { return Next().getString(); }
  absl::Time Time() { return absl::FromUnixNanos(Next().getInt64()); }
  template <typename E>
  E Enum() {
    return static_cast<E>(Next().getInt());
  }
  std::optional<double> OptionalReal() {
    const SQLite::Column column = Next();
    if (column.isNull()) return std::nullopt;
    return column.getDouble();
  }
  std::optional<std::string> OptionalText() {
    const SQLite::Column column = Next();
    if (column.isNull()) return std::nullopt;
    return column.getString();
  }
  std::optional<absl::Time> OptionalTime() {
    const SQLite::Column column = Next();
    if (column.isNull()) return std::nullopt;
    return absl::FromUnixNanos(column.getInt64());
  }

 private:
  SQLite::Column Next() { return statement_.getColumn(column_++); }

  SQLite::Statement& statement_;
  int column_ = 0;
};

// Runs a statement without rows; returns how many rows it changed.
template <typename... Values>
absl::StatusOr<int64_t> ExecuteCounting(Connection& connection,
                                        absl::string_view sql,
                                        const Values&... values) {
  try {
    SQLite::Statement& statement = connection.Prepare(sql);
    auto reset = absl::MakeCleanup([&statement] { statement.tryReset(); });
    int index = 0;
    (Bind(statement, ++index, values), ...);
    return statement.exec();
  } catch (...) {
    return CurrentExceptionStatus();
  }
}

template <typename... Values>
absl::Status Execute(Connection& connection, absl::string_view sql,
                     const Values&... values) {
  return ExecuteCounting(connection, sql, values...).status();
}

// `absent` when the statement changed no row.
template <typename... Values>
absl::Status ExecuteOnRow(Connection& connection, const absl::Status& absent,
                          absl::string_view sql, const Values&... values) {
  const absl::StatusOr<int64_t> changed =
      ExecuteCounting(connection, sql, values...);
  if (!changed.ok()) return changed.status();
  return *changed == 0 ? absent : absl::OkStatus();
}

// Calls `read(row)` for each row; `read` may throw what SQLite and JSON throw.
template <typename Read, typename... Values>
absl::Status ForEachRow(Connection& connection, Read read,
                        absl::string_view sql, const Values&... values) {
  try {
    SQLite::Statement& statement = connection.Prepare(sql);
    auto reset = absl::MakeCleanup([&statement] { statement.tryReset(); });
    int index = 0;
    (Bind(statement, ++index, values), ...);
    while (statement.executeStep()) {
      Row row(statement);
      read(row);
    }
    return absl::OkStatus();
  } catch (...) {
    return CurrentExceptionStatus();
  }
}

// What `read` makes of each row.
template <typename Read, typename... Values>
auto SelectAll(Connection& connection, Read read, absl::string_view sql,
               const Values&... values)
    -> absl::StatusOr<std::vector<decltype(read(std::declval<Row&>()))>> {
  std::vector<decltype(read(std::declval<Row&>()))> results;
  absl::Status status = ForEachRow(
      connection, [&](Row& row) { results.push_back(read(row)); }, sql,
      values...);
  if (!status.ok()) return status;
  return results;
}

// What `read` makes of the only row; `absent` when there is none.
template <typename Read, typename... Values>
auto SelectOne(Connection& connection, const absl::Status& absent, Read read,
               absl::string_view sql, const Values&... values)
    -> absl::StatusOr<decltype(read(std::declval<Row&>()))> {
  auto rows = SelectAll(connection, read, sql, values...);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return absent;
  return std::move(rows->front());
}

inline int64_t ReadInt64(Row& row) { return row.Int64(); }
inline std::string ReadText(Row& row) { return row.Text(); }

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_QUERY_H_
