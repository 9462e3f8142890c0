#include "storage/sqlite/database.h"

#include <sqlite3.h>

#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/query.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::Pair;

const Schema& TestSchema() {
  static const Schema& schema = *new Schema{
      77, {"CREATE TABLE t (x INTEGER PRIMARY KEY, bytes BLOB) STRICT;"}};
  return schema;
}

int64_t Ask(Connection& connection, absl::string_view sql) {
  const absl::StatusOr<int64_t> answer =
      SelectOne(connection, absl::NotFoundError(""), ReadInt64, sql);
  EXPECT_THAT(answer, IsOk()) << sql;
  return answer.value_or(-1);
}

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() {
    SqliteOptions options;
    options.clock = &clock_;
    options.on_write = [this](absl::string_view name, absl::Duration time) {
      writes_.emplace_back(name, time);
    };
    auto database = Database::Open(folder_.File("test.db"), "test", 4096,
                                   TestSchema(), options);
    EXPECT_THAT(database, IsOk());
    database_ = *std::move(database);
  }
  absl::Status Insert(int64_t x) {
    return database_->Write([&](Connection& connection) {
      return Execute(connection, "INSERT INTO t (x) VALUES (?)", x);
    });
  }
  int64_t Count() {
    int64_t count = 0;
    EXPECT_THAT(database_->Read([&](Connection& connection) {
      count = Ask(connection, "SELECT COUNT(*) FROM t");
      return absl::OkStatus();
    }),
                IsOk());
    return count;
  }

  test::TempDir folder_;
  FakeClock clock_;
  std::vector<std::pair<std::string, absl::Duration>> writes_;
  std::unique_ptr<Database> database_;
};

TEST_F(DatabaseTest, TheConnectionsHaveTheSettingsThatDurabilityNeeds) {
  const auto check = [](Connection& connection) {
    EXPECT_EQ(*SelectOne(connection, absl::NotFoundError(""), ReadText,
                         "PRAGMA journal_mode"),
              "wal");
    EXPECT_EQ(Ask(connection, "PRAGMA synchronous"), 2);  // FULL
    EXPECT_EQ(Ask(connection, "PRAGMA foreign_keys"), 1);
    EXPECT_EQ(Ask(connection, "PRAGMA trusted_schema"), 0);
    EXPECT_EQ(Ask(connection, "PRAGMA secure_delete"), 0);
    EXPECT_EQ(Ask(connection, "PRAGMA page_size"), 4096);
    EXPECT_EQ(Ask(connection, "PRAGMA wal_autocheckpoint"), 16384);
    EXPECT_EQ(Ask(connection, "PRAGMA journal_size_limit"), 128 << 20);
    return absl::OkStatus();
  };
  EXPECT_THAT(database_->Write(check), IsOk());
  EXPECT_THAT(database_->Read(check), IsOk());
}

TEST_F(DatabaseTest, TheObserverHearsOfEveryWriteAndHowLongItTook) {
  writes_.clear();
  EXPECT_THAT(database_->Write([&](Connection&) {
    clock_.Advance(absl::Milliseconds(3));
    return absl::OkStatus();
  }),
              IsOk());
  EXPECT_EQ(
      database_->Write([&](Connection&) { return absl::AbortedError("no"); }),
      absl::AbortedError("no"));
  EXPECT_EQ(Count(), 0);
  EXPECT_THAT(writes_,
              testing::ElementsAre(Pair("test", absl::Milliseconds(3)),
                                   Pair("test", absl::ZeroDuration())));
}

TEST_F(DatabaseTest, AReaderKeepsItsSnapshotBesideTheWriter) {
  EXPECT_THAT(Insert(1), IsOk());
  EXPECT_THAT(database_->Read([&](Connection& connection) {
    EXPECT_EQ(Ask(connection, "SELECT COUNT(*) FROM t"), 1);
    std::thread([&] { EXPECT_THAT(Insert(2), IsOk()); }).join();
    EXPECT_EQ(Ask(connection, "SELECT COUNT(*) FROM t"), 1);
    return absl::OkStatus();
  }),
              IsOk());
  EXPECT_EQ(Count(), 2);
}

TEST_F(DatabaseTest, AFullDiskRollsBackWholeAndTheNextWriteWorks) {
  const std::string bytes(1 << 20, 'x');
  const auto insert = [&](Connection& connection, int64_t x) {
    return Execute(connection, "INSERT INTO t VALUES (?, ?)", x, Blob{bytes});
  };
  EXPECT_THAT(Insert(1), IsOk());
  EXPECT_THAT(database_->Write([&](Connection& connection) {
    Ask(connection, "PRAGMA max_page_count = 300");
    EXPECT_THAT(insert(connection, 2), IsOk());
    const absl::Status full = insert(connection, 3);
    // SQLite may have rolled back by itself: nothing that follows may be
    // committed alone, even where the body ignores the error.
    EXPECT_THAT(full,
                HasError(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
    return full;
  }),
              HasError(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
  EXPECT_EQ(Count(), 1);
  EXPECT_THAT(Insert(4), IsOk());
  EXPECT_EQ(Count(), 2);
}

TEST_F(DatabaseTest, NothingIsCommittedAfterSqliteRolledBackByItself) {
  EXPECT_THAT(database_->Write([&](Connection& connection) {
    EXPECT_THAT(Execute(connection, "INSERT INTO t (x) VALUES (1)"), IsOk());
    connection.database().exec("ROLLBACK");
    EXPECT_THAT(Execute(connection, "INSERT INTO t (x) VALUES (2)"),
                HasError(absl::StatusCode::kInternal, "DATABASE_ERROR"));
    return absl::OkStatus();
  }),
              HasError(absl::StatusCode::kInternal, "DATABASE_ERROR"));
  EXPECT_EQ(Count(), 0);
  EXPECT_THAT(Insert(3), IsOk());
}

TEST_F(DatabaseTest, ManyThreadsReadAndWrite) {
  constexpr int kThreads = 12;
  constexpr int kRounds = 50;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kRounds; ++i) {
        if (thread % 2 == 0) {
          EXPECT_THAT(Insert(thread * kRounds + i), IsOk());
        } else {
          EXPECT_GE(Count(), 0);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count(), kThreads / 2 * kRounds);
}

TEST(SqliteStatus, EveryCodeHasItsCanonicalCodeAndReason) {
  using absl::StatusCode;
  struct Case {
    int code;
    StatusCode expected;
    const char* reason;
  };
  for (const Case& c : std::vector<Case>{
           {SQLITE_BUSY, StatusCode::kUnavailable, "DATABASE_BUSY"},
           {SQLITE_BUSY_SNAPSHOT, StatusCode::kUnavailable, "DATABASE_BUSY"},
           {SQLITE_LOCKED, StatusCode::kUnavailable, "DATABASE_BUSY"},
           {SQLITE_IOERR_FSYNC, StatusCode::kUnavailable, "DISK_ERROR"},
           {SQLITE_CANTOPEN, StatusCode::kUnavailable, "DISK_ERROR"},
           {SQLITE_FULL, StatusCode::kResourceExhausted, "DISK_FULL"},
           {SQLITE_CORRUPT_INDEX, StatusCode::kDataLoss, "DATABASE_DAMAGED"},
           {SQLITE_NOTADB, StatusCode::kDataLoss, "DATABASE_DAMAGED"},
           {SQLITE_READONLY, StatusCode::kFailedPrecondition, "READ_ONLY"},
           {SQLITE_NOMEM, StatusCode::kResourceExhausted, "OUT_OF_MEMORY"},
           {SQLITE_CONSTRAINT_UNIQUE, StatusCode::kAlreadyExists,
            "ALREADY_EXISTS"},
           {SQLITE_CONSTRAINT_PRIMARYKEY, StatusCode::kAlreadyExists,
            "ALREADY_EXISTS"},
           {SQLITE_CONSTRAINT_FOREIGNKEY, StatusCode::kFailedPrecondition,
            "STILL_IN_USE"},
           {SQLITE_CONSTRAINT_NOTNULL, StatusCode::kInvalidArgument,
            "CONSTRAINT_VIOLATED"},
           {SQLITE_CONSTRAINT_DATATYPE, StatusCode::kInvalidArgument,
            "CONSTRAINT_VIOLATED"},
           {SQLITE_MISUSE, StatusCode::kInternal, "DATABASE_ERROR"}}) {
    EXPECT_THAT(SqliteStatus(c.code, "x"), HasError(c.expected, c.reason))
        << c.code;
  }
}

TEST(Connection, AStatementThatFailedWorksTheNextTime) {
  Connection connection(":memory:", Access::kWriter, 4096);
  connection.database().exec("CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT");
  constexpr absl::string_view kInsert = "INSERT INTO t VALUES (?)";
  EXPECT_THAT(Execute(connection, kInsert, 1), IsOk());
  EXPECT_THAT(Execute(connection, kInsert, 1),
              HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
  EXPECT_THAT(
      Execute(connection, kInsert, absl::string_view("no number")),
      HasError(absl::StatusCode::kInvalidArgument, "CONSTRAINT_VIOLATED"));
  EXPECT_THAT(Execute(connection, kInsert, 2), IsOk());
}

}  // namespace
}  // namespace attune::storage
