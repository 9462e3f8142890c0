#include <SQLiteCpp/Database.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/query.h"
#include "storage/verification.h"
#include "tests/storage/sqlite/faulty_disk.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/long_form.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;

absl::Status InsertModel(StateStore& store, int number) {
  return store.Write([&](StateTransaction& transaction) {
    Model model;
    model.name = absl::StrCat("model-", number);
    return transaction.models().Insert(model);
  });
}

// What the checkpoints of a busy server do now and then.
void Checkpoint(const std::string& path) {
  SQLite::Database(path, SQLite::OPEN_READWRITE)
      .exec("PRAGMA wal_checkpoint(PASSIVE)");
}

void ExpectSound(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE);
  EXPECT_EQ(database.execAndGet("PRAGMA integrity_check").getString(), "ok");
}

// Cuts the power at every `interval`-th operation of the disk and remembers
// how much had been acknowledged.
class PowerCuts {
 public:
  PowerCuts(FaultyDisk& disk, int interval) : disk_(disk) {
    disk.set_on_operation([this, interval] {
      if (++operations_ % interval != 0) return;
      const std::string folder = folder_.File(absl::StrCat(cuts_.size()));
      std::filesystem::create_directory(folder);
      disk_.CutPower(folder);
      cuts_.push_back({folder, acknowledged_});
    });
  }
  ~PowerCuts() {
    disk_.set_on_operation([] {});
  }

  void Acknowledge() { ++acknowledged_; }

  struct Cut {
    std::string folder;
    int acknowledged = 0;
  };
  // Ends the cuts and returns them.
  const std::vector<Cut>& Stop() {
    disk_.set_on_operation([] {});
    return cuts_;
  }

 private:
  FaultyDisk& disk_;
  test::TempDir folder_;
  int operations_ = 0;
  int acknowledged_ = 0;
  std::vector<Cut> cuts_;
};

constexpr int kModels = 40;

// Adds models one by one while the power is cut.
void AddModels(const std::string& path, PowerCuts& cuts, StateStore& store) {
  for (int i = 0; i < kModels; ++i) {
    EXPECT_THAT(InsertModel(store, i), IsOk());
    cuts.Acknowledge();
    if (i % 7 == 6) Checkpoint(path);
  }
}

// The number of models in a copy of the database; an error where it cannot be
// read.
absl::StatusOr<int> CountModels(const std::string& path) {
  absl::StatusOr<std::unique_ptr<StateStore>> store = OpenStateStore(path);
  if (!store.ok()) return store.status();
  int count = 0;
  const absl::Status status =
      (*store)->Read([&](StateTransaction& transaction) {
        const auto models = transaction.models().List("", 1000);
        if (models.ok()) count = static_cast<int>(models->size());
        return models.status();
      });
  if (!status.ok()) return status;
  return count;
}

TEST(PowerLoss, NoAcknowledgedTransactionIsLost) {
  FaultyDisk disk(/*seed=*/1);
  test::TempDir folder;
  const std::string path = folder.File("state.db");
  const auto store = OpenState(path);
  PowerCuts cuts(disk, 1);
  AddModels(path, cuts, *store);
  ASSERT_GT(cuts.Stop().size(), 10);
  for (const PowerCuts::Cut& cut : cuts.Stop()) {
    const std::string copy = cut.folder + "/state.db";
    const absl::StatusOr<int> count = CountModels(copy);
    ASSERT_THAT(count, IsOk());
    EXPECT_GE(*count, cut.acknowledged);
    EXPECT_LE(*count, cut.acknowledged + 1);
    ExpectSound(copy);
  }
}

TEST(PowerLoss, ADatabaseCutOffWhileItIsMadeOpensTheNextTime) {
  FaultyDisk disk(/*seed=*/7);
  test::TempDir folder;
  PowerCuts cuts(disk, 1);
  const auto store = OpenState(folder.File("state.db"));
  ASSERT_GT(cuts.Stop().size(), 10);
  for (const PowerCuts::Cut& cut : cuts.Stop()) {
    const absl::StatusOr<int> count = CountModels(cut.folder + "/state.db");
    ASSERT_THAT(count, IsOk());
    EXPECT_EQ(*count, 0);
    ExpectSound(cut.folder + "/state.db");
  }
}

// Shows that the tests above can fail.
TEST(PowerLoss, ADiskThatLiesAboutSyncsIsFoundOut) {
  FaultyDisk disk(/*seed=*/1);
  test::TempDir folder;
  const std::string path = folder.File("state.db");
  const auto store = OpenState(path);
  PowerCuts cuts(disk, 1);
  disk.set_lies_about_syncs(true);
  AddModels(path, cuts, *store);
  int losses = 0;
  for (const PowerCuts::Cut& cut : cuts.Stop()) {
    const absl::StatusOr<int> count = CountModels(cut.folder + "/state.db");
    if (!count.ok() || *count < cut.acknowledged) ++losses;
  }
  EXPECT_GT(losses, 0);
}

TEST(PowerLoss, NoAcknowledgedBlobIsLost) {
  constexpr int kBlobs = 12;
  FaultyDisk disk(/*seed=*/3);
  test::TempDir folder;
  const std::string path = folder.File("blobs.db");
  auto store = OpenBlobStore(path);
  ASSERT_THAT(store, IsOk());
  Checkpoint(path);
  PowerCuts cuts(disk, 23);
  std::vector<std::string> digests;
  for (int i = 0; i < kBlobs; ++i) {
    const std::string bytes(i % 4 == 3 ? (5 << 20) : 100'000,
                            static_cast<char>('a' + i));
    digests.push_back(Sha256Hex(bytes));
    std::unique_ptr<BlobWriter> writer = (*store)->NewWriter();
    ASSERT_THAT(writer->Append(bytes), IsOk());
    ASSERT_THAT(writer->Commit(digests.back()), IsOk());
    cuts.Acknowledge();
    if (i % 5 == 4) Checkpoint(path);
  }
  ASSERT_GT(cuts.Stop().size(), 10);
  for (const PowerCuts::Cut& cut : cuts.Stop()) {
    const auto after = OpenBlobStore(cut.folder + "/blobs.db");
    ASSERT_THAT(after, IsOk());
    for (int i = 0; i < cut.acknowledged; ++i) {
      EXPECT_THAT((*after)->ReadAll(digests[i]), IsOk());
    }
    ExpectSound(cut.folder + "/blobs.db");
  }
}

// A blob is stored and then a row that names it, as every upload, import and
// checkpoint does. Whatever rows a cut leaves, their blobs are there.
TEST(PowerLoss, EveryRowsBlobIsThereAfterACutAtAnyTime) {
  const int rounds = test::Rounds(/*short_form=*/20, /*long_form=*/200);
  int checked = 0;
  for (int round = 0; round < rounds; ++round) {
    FaultyDisk disk(/*seed=*/100 + round);
    test::TempDir folder;
    const auto state = OpenState(folder.File("state.db"));
    auto blobs = OpenBlobStore(folder.File("blobs.db"));
    ASSERT_THAT(blobs, IsOk());
    Write(*state, [](StateTransaction& transaction) {
      Dataset dataset;
      dataset.name = "pictures";
      EXPECT_THAT(transaction.datasets().Insert(dataset), IsOk());
    });
    // Every round cuts at other operations of the disk.
    PowerCuts cuts(disk, 11 + round % 13);
    std::vector<std::string> digests;
    for (int i = 0; i < 8; ++i) {
      const std::string bytes(20'000 + 50'000 * ((i + round) % 4),
                              static_cast<char>(i + round));
      digests.push_back(Sha256Hex(bytes));
      ASSERT_THAT((*blobs)->Put({BlobView{digests.back(), bytes}}), IsOk());
      Write(*state, [&](StateTransaction& transaction) {
        Example example;
        example.image_digest = digests.back();
        EXPECT_THAT(transaction.datasets().AddExamples("pictures", {example}),
                    IsOk());
      });
      cuts.Acknowledge();
      if (i == 3) Checkpoint(folder.File("blobs.db"));
      if (i == 5) Checkpoint(folder.File("state.db"));
    }
    for (const PowerCuts::Cut& cut : cuts.Stop()) {
      SqliteOptions full;
      full.check = IntegrityCheck::kFull;
      auto state_after = OpenStateStore(cut.folder + "/state.db", full);
      auto blobs_after = OpenBlobStore(cut.folder + "/blobs.db", full);
      ASSERT_THAT(state_after, IsOk());
      ASSERT_THAT(blobs_after, IsOk());
      EXPECT_THAT(VerifyBlobs(**state_after, **blobs_after), IsOk());
      Read(**state_after, [&](StateTransaction& transaction) {
        const auto examples =
            transaction.datasets().ListExamples("pictures", 0, 100);
        ASSERT_THAT(examples, IsOk());
        EXPECT_GE(static_cast<int>(examples->size()), cut.acknowledged);
      });
      ++checked;
    }
  }
  EXPECT_GE(checked, rounds);
}

// Each cut leaves the old version or the new one, and the copy of the old one
// beside it whenever the new one is there.
TEST(PowerLoss, AMigrationCutOffIsBeforeOrAfterIt) {
  const Schema old_schema = {
      77, {"CREATE TABLE a (x INTEGER PRIMARY KEY, y TEXT) STRICT;"}};
  Schema new_schema = old_schema;
  new_schema.migrations.push_back(
      "CREATE TABLE b (x INTEGER PRIMARY KEY, z TEXT) STRICT;"
      "INSERT INTO b SELECT x, y FROM a; DROP TABLE a;");
  FaultyDisk disk(/*seed=*/9);
  test::TempDir folder;
  const std::string path = folder.File("test.db");
  {
    auto database = Database::Open(path, "test", 4096, old_schema, {});
    ASSERT_THAT(database, IsOk());
    ASSERT_THAT((*database)->Write([](Connection& connection) -> absl::Status {
      for (int i = 0; i < 200; ++i) {
        ATTUNE_RETURN_IF_ERROR(Execute(
            connection, "INSERT INTO a (y) VALUES (?)", std::string(500, 'y')));
      }
      return absl::OkStatus();
    }),
                IsOk());
  }
  PowerCuts cuts(disk, 1);
  ASSERT_THAT(Database::Open(path, "test", 4096, new_schema, {}), IsOk());
  ASSERT_GT(cuts.Stop().size(), 10);
  const auto count = [](const std::string& file, const char* table) {
    return SQLite::Database(file, SQLite::OPEN_READWRITE)
        .execAndGet(absl::StrCat("SELECT COUNT(*) FROM ", table))
        .getInt();
  };
  int after = 0;
  for (const PowerCuts::Cut& cut : cuts.Stop()) {
    const std::string copy = cut.folder + "/test.db";
    const int version = SQLite::Database(copy, SQLite::OPEN_READWRITE)
                            .execAndGet("PRAGMA user_version")
                            .getInt();
    ASSERT_TRUE(version == 1 || version == 2);
    EXPECT_EQ(count(copy, version == 1 ? "a" : "b"), 200);
    ExpectSound(copy);
    after += version == 2;
    // The next start brings it to the new version in any case.
    ASSERT_THAT(Database::Open(copy, "test", 4096, new_schema, {}), IsOk());
    EXPECT_EQ(count(copy, "b"), 200);
  }
  EXPECT_GT(after, 0);
  EXPECT_LT(after, static_cast<int>(cuts.Stop().size()));
  EXPECT_EQ(count(path + ".v1", "a"), 200);
}

TEST(FailingDisk, AFailedSyncIsToldAndTheStoreGoesOn) {
  FaultyDisk disk(/*seed=*/4);
  test::TempDir folder;
  auto store = OpenState(folder.File("state.db"));
  ASSERT_THAT(InsertModel(*store, 1), IsOk());
  disk.set_sync_result(SQLITE_IOERR_FSYNC);
  EXPECT_THAT(InsertModel(*store, 2),
              HasError(absl::StatusCode::kUnavailable, "DISK_ERROR"));
  disk.set_sync_result(SQLITE_OK);
  EXPECT_THAT(InsertModel(*store, 3), IsOk());
  Read(*store, [](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Get("model-1"), IsOk());
    EXPECT_THAT(transaction.models().Get("model-2"),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
    EXPECT_THAT(transaction.models().Get("model-3"), IsOk());
  });
}

TEST(FailingDisk, AFullDiskIsToldAndTheStoreGoesOn) {
  FaultyDisk disk(/*seed=*/5);
  test::TempDir folder;
  const auto full = HasError(absl::StatusCode::kResourceExhausted, "DISK_FULL");
  auto state = OpenState(folder.File("state.db"));
  auto blobs = OpenBlobStore(folder.File("blobs.db"));
  ASSERT_THAT(blobs, IsOk());
  const std::string bytes(9 << 20, 'x');
  const BlobView blob = {Sha256Hex(bytes), bytes};
  disk.set_write_result(SQLITE_FULL);
  EXPECT_THAT(InsertModel(*state, 1), full);
  EXPECT_THAT((*blobs)->Put({blob}), full);
  EXPECT_THAT((*blobs)->NewWriter()->Append(bytes), full);
  disk.set_write_result(SQLITE_OK);
  EXPECT_THAT(InsertModel(*state, 1), IsOk());
  EXPECT_EQ(*(*blobs)->TotalBytes(), 0);
  EXPECT_THAT((*blobs)->Put({blob}), IsOk());
  EXPECT_THAT((*blobs)->ReadAll(blob.digest), IsOk());
}

TEST(FailingDisk, AnUploadThatFailsHalfWayLeavesNothing) {
  FaultyDisk disk(/*seed=*/6);
  test::TempDir folder;
  auto blobs = OpenBlobStore(folder.File("blobs.db"));
  ASSERT_THAT(blobs, IsOk());
  std::unique_ptr<BlobWriter> writer = (*blobs)->NewWriter();
  ASSERT_THAT(writer->Append(std::string(5 << 20, 'x')), IsOk());
  disk.set_write_result(SQLITE_FULL);
  EXPECT_THAT(writer->Commit(""),
              HasError(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
  disk.set_write_result(SQLITE_OK);
  writer.reset();
  SQLite::Database database(folder.File("blobs.db"));
  EXPECT_EQ(database.execAndGet("SELECT COUNT(*) FROM chunks").getInt(), 0);
}

}  // namespace
}  // namespace attune::storage
