#include "storage/sqlite/backup.h"

#include <SQLiteCpp/Database.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/data_dir_lock.h"
#include "storage/file_lock.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

constexpr int64_t kLarge = 20 << 20;  // more than one batch of the copy

// A data folder with a dataset of pictures in it.
class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    fs::create_directory(data_dir_);
    state_ = OpenState(data_dir_ + "/state.db");
    SqliteOptions options;
    options.clock = &clock_;
    auto blobs = OpenBlobStore(data_dir_ + "/blobs.db", options);
    EXPECT_THAT(blobs, IsOk());
    blobs_ = *std::move(blobs);
    Write(*state_, [](StateTransaction& transaction) {
      Dataset dataset;
      dataset.name = "pictures";
      EXPECT_THAT(transaction.datasets().Insert(dataset), IsOk());
    });
  }

  // Blob first, then the row, as the server does.
  std::string AddPicture(const std::string& bytes) {
    std::string digest = Sha256Hex(bytes);
    EXPECT_THAT(blobs_->Put({BlobView{digest, bytes}}), IsOk());
    Write(*state_, [&](StateTransaction& transaction) {
      Example example;
      example.image_digest = digest;
      EXPECT_THAT(transaction.datasets().AddExamples("pictures", {example}),
                  IsOk());
    });
    return digest;
  }
  int64_t Collect() {
    const auto deleted = blobs_->CollectGarbage(
        absl::ZeroDuration(),
        [&](absl::Span<const std::string> digests)
            -> absl::StatusOr<std::vector<std::string>> {
          std::vector<std::string> referenced;
          Read(*state_, [&](StateTransaction& transaction) {
            referenced = *transaction.FindReferencedBlobs(digests);
          });
          return referenced;
        });
    return deleted.value_or(-1);
  }
  static size_t CountExamples(StateStore& state) {
    size_t count = 0;
    Read(state, [&](StateTransaction& transaction) {
      count =
          transaction.datasets().ListExamples("pictures", 0, 100'000)->size();
    });
    return count;
  }

  test::TempDir folder_;
  const std::string data_dir_ = folder_.File("data");
  const std::string copy_ = folder_.File("copy");
  const std::string restored_ = folder_.File("restored");
  FakeClock clock_;
  std::unique_ptr<StateStore> state_;
  std::unique_ptr<BlobStore> blobs_;
};

TEST_F(BackupTest, WhatWasBackedUpComesBack) {
  const std::string small = AddPicture("a picture");
  const std::string large = AddPicture(std::string(kLarge, 'l'));
  const auto backed_up = BackUp(data_dir_, copy_);
  ASSERT_THAT(backed_up, IsOk());
  EXPECT_EQ(backed_up->count, 2);
  EXPECT_EQ(backed_up->bytes, kLarge + 9);
  const auto restored = Restore(copy_, restored_);
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(restored->count, 2);
  const auto lock = DataDirLock::Acquire(restored_);
  ASSERT_THAT(lock, IsOk());
  EXPECT_EQ(CountExamples(*OpenState(restored_ + "/state.db")), 2);
  auto blobs = OpenBlobStore(restored_ + "/blobs.db");
  ASSERT_THAT(blobs, IsOk());
  EXPECT_EQ(*(*blobs)->ReadAll(small), "a picture");
  EXPECT_THAT((*blobs)->ReadAll(large), IsOk());
}

TEST_F(BackupTest, BlobsThatNothingNamesAreLeftOut) {
  AddPicture("kept");
  const std::string other = "not named";
  ASSERT_THAT(blobs_->Put({BlobView{Sha256Hex(other), other}}), IsOk());
  const auto backed_up = BackUp(data_dir_, copy_);
  ASSERT_THAT(backed_up, IsOk());
  EXPECT_EQ(backed_up->count, 1);
}

TEST_F(BackupTest, ABackupUnderLoadRestoresClean) {
  for (int i = 0; i < 200; ++i) AddPicture(absl::StrCat("before ", i));
  std::atomic<bool> stop = false;
  std::atomic<int> added = 200;
  std::thread load([&] {
    for (int i = 0; !stop.load(); ++i) {
      AddPicture(absl::StrCat("during ", i, std::string(5'000, 'x')));
      added.fetch_add(1);
    }
  });
  const int before = added.load();
  const auto backed_up = BackUp(data_dir_, copy_);
  stop.store(true);
  load.join();
  ASSERT_THAT(backed_up, IsOk());
  ASSERT_THAT(Restore(copy_, restored_), IsOk());
  const auto count =
      static_cast<int>(CountExamples(*OpenState(restored_ + "/state.db")));
  EXPECT_GE(count, before);
  EXPECT_LE(count, added.load());
  EXPECT_EQ(backed_up->count, count);
}

TEST_F(BackupTest, NoGarbageIsCollectedWhileItIsCopied) {
  const std::string bytes = "unnamed";
  ASSERT_THAT(blobs_->Put({BlobView{Sha256Hex(bytes), bytes}}), IsOk());
  clock_.Advance(absl::Hours(1));
  {
    const auto lock = FileLock::Acquire(BlobLockPath(data_dir_ + "/blobs.db"),
                                        FileLock::Mode::kShared);
    ASSERT_THAT(lock, IsOk());
    EXPECT_THAT(blobs_->CollectGarbage(
                    absl::ZeroDuration(),
                    [](absl::Span<const std::string>) {
                      return absl::StatusOr<std::vector<std::string>>(
                          std::vector<std::string>());
                    }),
                HasError(absl::StatusCode::kUnavailable, "LOCKED"));
  }
  EXPECT_EQ(Collect(), 1);
}

TEST_F(BackupTest, ADamagedBlobStopsItAndIsNamed) {
  const std::string digest = AddPicture(std::string(100'000, 'p'));
  {
    SQLite::Database database(data_dir_ + "/blobs.db", SQLite::OPEN_READWRITE);
    database.exec("UPDATE chunks SET bytes = zeroblob(100000)");
  }
  const auto backed_up = BackUp(data_dir_, copy_);
  EXPECT_THAT(backed_up, HasError(absl::StatusCode::kDataLoss, "BLOB_DAMAGED"));
  EXPECT_THAT(std::string(backed_up.status().message()), HasSubstr(digest));
  EXPECT_TRUE(fs::is_empty(copy_));
}

TEST_F(BackupTest, AFolderThatIsNotEmptyIsRefused) {
  AddPicture("a picture");
  ASSERT_THAT(BackUp(data_dir_, copy_), IsOk());
  const auto refused =
      HasError(absl::StatusCode::kFailedPrecondition, "FOLDER_NOT_EMPTY");
  EXPECT_THAT(BackUp(data_dir_, copy_), refused);
  EXPECT_THAT(Restore(copy_, data_dir_), refused);
  EXPECT_TRUE(fs::exists(copy_ + "/state.db"));
}

TEST_F(BackupTest, AFolderWithoutDatabasesIsNotFound) {
  const auto not_found = HasError(absl::StatusCode::kNotFound, "NOT_FOUND");
  EXPECT_THAT(BackUp(folder_.File("none"), copy_), not_found);
  EXPECT_FALSE(fs::exists(copy_));
  EXPECT_THAT(Restore(folder_.File("none"), restored_), not_found);
  EXPECT_FALSE(fs::exists(restored_));
}

TEST_F(BackupTest, ACopyThatWasCutOffIsRefused) {
  AddPicture("a picture");
  ASSERT_THAT(BackUp(data_dir_, copy_), IsOk());
  std::ofstream(copy_ + "/" + kIncompleteMark) << "x";
  const auto refused =
      HasError(absl::StatusCode::kFailedPrecondition, "INCOMPLETE_COPY");
  EXPECT_THAT(Restore(copy_, restored_), refused);
  EXPECT_THAT(BackUp(copy_, restored_), refused);
}

// What a restore finds in a backup, and what it says.
struct Damage {
  const char* name;
  const char* database;
  const char* sql;
  const char* reason;
};

class DamagedBackup : public BackupTest,
                      public testing::WithParamInterface<Damage> {};

TEST_P(DamagedBackup, IsNotRestored) {
  AddPicture(std::string(100'000, 'p'));
  ASSERT_THAT(BackUp(data_dir_, copy_), IsOk());
  {
    SQLite::Database database(copy_ + "/" + GetParam().database,
                              SQLite::OPEN_READWRITE);
    database.exec(GetParam().sql);
  }
  EXPECT_THAT(Restore(copy_, restored_),
              HasError(absl::StatusCode::kDataLoss, GetParam().reason));
  EXPECT_TRUE(fs::is_empty(restored_));
}

INSTANTIATE_TEST_SUITE_P(
    Damages, DamagedBackup,
    testing::Values(
        Damage{"MissingBlob", "blobs.db", "DELETE FROM blobs", "BLOB_MISSING"},
        Damage{"MissingChunk", "blobs.db", "DELETE FROM chunks",
               "BLOB_DAMAGED"},
        Damage{"ChangedBlob", "blobs.db",
               "UPDATE chunks SET bytes = zeroblob(100000)", "BLOB_DAMAGED"},
        Damage{"MissingRow", "state.db", "DELETE FROM datasets",
               "DATABASE_DAMAGED"}),
    [](const testing::TestParamInfo<Damage>& info) { return info.param.name; });

TEST_F(BackupTest, ABackupThatLostAPageIsNotRestored) {
  AddPicture("a picture");
  ASSERT_THAT(BackUp(data_dir_, copy_), IsOk());
  fs::resize_file(copy_ + "/state.db", 20'000);
  EXPECT_THAT(Restore(copy_, restored_),
              HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"));
  EXPECT_TRUE(fs::is_empty(restored_));
}

TEST_F(BackupTest, TheFolderOfAKilledServerRestoresWithItsLog) {
  const std::string digest = AddPicture("only in the log");
  ASSERT_TRUE(fs::exists(data_dir_ + "/state.db-wal"));
  fs::create_directory(copy_);
  for (const char* name :
       {"state.db", "state.db-wal", "blobs.db", "blobs.db-wal"}) {
    fs::copy_file(data_dir_ + "/" + name, copy_ + "/" + name);
  }
  ASSERT_THAT(Restore(copy_, restored_), IsOk());
  auto blobs = OpenBlobStore(restored_ + "/blobs.db");
  ASSERT_THAT(blobs, IsOk());
  EXPECT_THAT((*blobs)->ReadAll(digest), IsOk());
}

}  // namespace
}  // namespace attune::storage
