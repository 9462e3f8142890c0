// What is left after a process dies, and after the disk changed a bit.
// (kill and _exit leave the operating system's cache intact: they show that
// transactions are whole, not that fsync is called.)

#include <SQLiteCpp/Database.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/blob_table.h"
#include "storage/sqlite/migration.h"
#include "storage/sqlite/query.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::IsEmpty;

// Runs `body` in a process of its own, which ends without any cleaning up.
void RunAndDie(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(7);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 7);
}

// An error of a child process, which no assertion can report.
void Require(const absl::Status& status) {
  if (!status.ok()) _exit(1);
}

std::unique_ptr<BlobStore> OpenBlobs(const std::string& path) {
  absl::StatusOr<std::unique_ptr<BlobStore>> store = OpenBlobStore(path);
  EXPECT_THAT(store, IsOk());
  return store.ok() ? *std::move(store) : nullptr;
}

int64_t Ask(const std::string& path, const std::string& sql) {
  return SQLite::Database(path).execAndGet(sql).getInt64();
}

void ExpectSound(const std::string& path) {
  SQLite::Database database(path);
  EXPECT_EQ(database.execAndGet("PRAGMA integrity_check").getString(), "ok");
  SQLite::Statement check(database, "PRAGMA foreign_key_check");
  EXPECT_FALSE(check.executeStep());
}

Model NamedModel(const std::string& name) {
  Model model;
  model.name = name;
  return model;
}

class CrashTest : public testing::Test {
 protected:
  test::TempDir folder_;
  const std::string path_ = folder_.File("test.db");
};

TEST_F(CrashTest, AnUnfinishedTransactionLeavesNothing) {
  RunAndDie([&] {
    auto store = OpenStateStore(path_);
    Require(store.status());
    Require((*store)->Write([](StateTransaction& transaction) {
      return transaction.models().Insert(NamedModel("committed"));
    }));
    (void)(*store)->Write([](StateTransaction& transaction) {
      Require(transaction.models().Insert(NamedModel("lost")));
      _exit(7);
      return absl::OkStatus();
    });
  });
  Read(*OpenState(path_), [](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Get("committed"), IsOk());
    EXPECT_THAT(transaction.models().Get("lost"),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  });
  ExpectSound(path_);
}

TEST_F(CrashTest, AnUnfinishedUploadIsRemovedAtTheNextStart) {
  const std::string bytes(3 * kChunkBytes, 'x');
  RunAndDie([&] {
    auto store = OpenBlobStore(path_);
    Require(store.status());
    auto* writer = (*store)->NewWriter().release();
    Require(writer->Append(bytes));
  });
  EXPECT_EQ(Ask(path_, "SELECT COUNT(*) FROM chunks"), 3);
  OpenBlobs(path_);
  EXPECT_EQ(Ask(path_, "SELECT COUNT(*) FROM chunks"), 0);
  EXPECT_EQ(Ask(path_, "SELECT COUNT(*) FROM blobs"), 0);
  ExpectSound(path_);
}

TEST_F(CrashTest, EveryAcknowledgedBlobSurvivesKillAtAnyTime) {
  for (int round = 0; round < 10; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto store = OpenBlobStore(path_);
      Require(store.status());
      for (int i = 0; true; ++i) {
        const std::string bytes(100'000 + i, static_cast<char>(round));
        const std::string digest = Sha256Hex(bytes);
        Require((*store)->Put({BlobView{digest, bytes}}));
        if (write(pipe_ends[1], digest.data(), 64) != 64) _exit(1);
      }
    }
    close(pipe_ends[1]);
    std::vector<std::string> acknowledged;
    char digest[64];
    while (static_cast<int>(acknowledged.size()) < 3 + round &&
           read(pipe_ends[0], digest, 64) == 64) {
      acknowledged.emplace_back(digest, 64);
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(pipe_ends[0]);
    EXPECT_EQ(acknowledged.size(), 3 + round);
    const auto store = OpenBlobs(path_);
    const auto missing = store->FindMissing(acknowledged);
    ASSERT_THAT(missing, IsOk());
    EXPECT_THAT(*missing, IsEmpty());
  }
  ExpectSound(path_);
}

TEST_F(CrashTest, FreedPagesAreUsedAgain) {
  FakeClock clock;
  SqliteOptions options;
  options.clock = &clock;
  auto store = OpenBlobStore(path_, options);
  ASSERT_THAT(store, IsOk());
  int64_t pages = 0;
  for (int round = 0; round < 3; ++round) {
    const std::string bytes(5 * kChunkBytes, static_cast<char>(round));
    ASSERT_THAT((*store)->Put({BlobView{Sha256Hex(bytes), bytes}}), IsOk());
    clock.Advance(absl::Hours(1));
    const auto collected = (*store)->CollectGarbage(
        absl::ZeroDuration(), [](absl::Span<const std::string>) {
          return absl::StatusOr<std::vector<std::string>>(
              std::vector<std::string>());
        });
    EXPECT_EQ(*collected, 1);
    if (round == 0) pages = Ask(path_, "PRAGMA page_count");
  }
  EXPECT_EQ(Ask(path_, "PRAGMA page_count"), pages);
  EXPECT_GT(Ask(path_, "PRAGMA freelist_count"), pages / 2);
}

TEST_F(CrashTest, TheWriteAheadLogStaysSmallWhileAReaderWaits) {
  const std::string bytes(2 * kChunkBytes, 'r');
  auto store = OpenBlobs(path_);
  ASSERT_THAT(store->Put({BlobView{Sha256Hex(bytes), bytes}}), IsOk());
  // A client that takes one piece and then nothing for a long time.
  const absl::Status status =
      store->Read(Sha256Hex(bytes), [&](absl::string_view) {
        for (int i = 0; i < 7; ++i) {
          const std::string large(8 * kChunkBytes, static_cast<char>(i));
          EXPECT_THAT(store->Put({BlobView{Sha256Hex(large), large}}), IsOk());
        }
        return absl::CancelledError("gone");
      });
  EXPECT_EQ(status, absl::CancelledError("gone"));
  EXPECT_GT(WalBytes(path_), 0);
  EXPECT_LE(WalBytes(path_), 2 * kTransactionBytes);
}

// Changes one byte of a file.
void Damage(const std::string& path, int64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const char byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(offset);
  file.put(byte);
}

TEST_F(CrashTest, AFlippedBitInABlobIsFound) {
  const std::string bytes(kChunkBytes + 500'000, 'd');
  const std::string digest = Sha256Hex(bytes);
  {
    auto store = OpenBlobs(path_);
    ASSERT_THAT(store->Put({BlobView{digest, bytes}}), IsOk());
  }
  Ask(path_, "PRAGMA wal_checkpoint(TRUNCATE)");
  // The middle of the file is the middle of the blob's first chunk.
  Damage(path_, 2'500'000);
  size_t received = 0;
  EXPECT_THAT(OpenBlobs(path_)->Read(digest,
                                     [&](absl::string_view piece) {
                                       received += piece.size();
                                       return absl::OkStatus();
                                     }),
              HasError(absl::StatusCode::kDataLoss, "BLOB_DAMAGED"));
  EXPECT_LT(received, bytes.size());
}

TEST_F(CrashTest, AMissingChunkIsFound) {
  const std::string bytes(2 * kChunkBytes, 'd');
  const std::string digest = Sha256Hex(bytes);
  auto store = OpenBlobs(path_);
  ASSERT_THAT(store->Put({BlobView{digest, bytes}}), IsOk());
  {
    SQLite::Database database(path_, SQLite::OPEN_READWRITE);
    database.exec("DELETE FROM chunks WHERE id % 2 = 1");
  }
  EXPECT_THAT(store->ReadAll(digest),
              HasError(absl::StatusCode::kDataLoss, "BLOB_DAMAGED"));
}

TEST_F(CrashTest, ABlobDeletedWhileItIsReadIsNotFound) {
  FakeClock clock;
  SqliteOptions options;
  options.clock = &clock;
  const std::string bytes(2 * kChunkBytes, 'd');
  const std::string digest = Sha256Hex(bytes);
  auto store = OpenBlobStore(path_, options);
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT((*store)->Put({BlobView{digest, bytes}}), IsOk());
  clock.Advance(absl::Hours(1));
  EXPECT_THAT((*store)->Read(
                  digest,
                  [&](absl::string_view) {
                    return (*store)
                        ->CollectGarbage(
                            absl::ZeroDuration(),
                            [](absl::Span<const std::string>) {
                              return absl::StatusOr<std::vector<std::string>>(
                                  std::vector<std::string>());
                            })
                        .status();
                  }),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(CrashTest, AnOverwrittenPageIsDataLoss) {
  {
    auto store = OpenState(path_);
    Write(*store, [](StateTransaction& transaction) {
      for (int i = 0; i < 1000; ++i) {
        EXPECT_THAT(
            transaction.models().Insert(NamedModel(absl::StrCat("model-", i))),
            IsOk());
      }
    });
  }
  Ask(path_, "PRAGMA wal_checkpoint(TRUNCATE)");
  const int64_t root =
      Ask(path_, "SELECT rootpage FROM sqlite_schema WHERE name = 'models'");
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp((root - 1) * 4096);
    file << std::string(4096, '\xee');
  }
  const auto store = OpenState(path_);
  EXPECT_THAT(store->Read([](StateTransaction& transaction) {
    return transaction.models().List("", 10'000).status();
  }),
              HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"));
}

TEST_F(CrashTest, DamagedJsonIsDataLoss) {
  auto store = OpenState(path_);
  Write(*store, [](StateTransaction& transaction) {
    Job job;
    job.id = "job-1";
    EXPECT_THAT(transaction.jobs().Insert(job), IsOk());
  });
  {
    SQLite::Database database(path_, SQLite::OPEN_READWRITE);
    database.exec("UPDATE jobs SET spec = '{\"train\":'");
  }
  EXPECT_THAT(store->Read([](StateTransaction& transaction) {
    return transaction.jobs().Get("job-1").status();
  }),
              HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"));
}

}  // namespace
}  // namespace attune::storage
