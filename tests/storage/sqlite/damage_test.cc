// Bits and pages that the disk changed, and what finds them.

#include <SQLiteCpp/Database.h>

#include <fstream>
#include <random>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/verification.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::HasSubstr;

std::string RandomBytes(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::string FileBytes(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

void Overwrite(const std::string& path, int64_t offset,
               const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(offset);
  file << bytes;
}

class DamageTest : public testing::Test {
 protected:
  // A state that names one picture, and the picture.
  DamageTest() {
    auto blobs = OpenBlobStore(blobs_path_);
    EXPECT_THAT(blobs, IsOk());
    EXPECT_THAT((*blobs)->Put({BlobView{digest_, bytes_}}), IsOk());
    const auto state = OpenState(state_path_);
    Write(*state, [&](StateTransaction& transaction) {
      Dataset dataset;
      dataset.name = "pictures";
      EXPECT_THAT(transaction.datasets().Insert(dataset), IsOk());
      Example example;
      example.image_digest = digest_;
      example.image_size_bytes = static_cast<int64_t>(bytes_.size());
      EXPECT_THAT(transaction.datasets().AddExamples("pictures", {example}),
                  IsOk());
    });
  }
  absl::Status ReadBlob() const {
    auto blobs = OpenBlobStore(blobs_path_);
    return blobs.ok() ? (*blobs)->ReadAll(digest_).status() : blobs.status();
  }
  absl::Status Verify() const {
    auto blobs = OpenBlobStore(blobs_path_);
    if (!blobs.ok()) return blobs.status();
    return VerifyBlobs(*OpenState(state_path_), **blobs).status();
  }
  absl::Status OpenChecked(const std::string& path, IntegrityCheck check) {
    SqliteOptions options;
    options.check = check;
    return path == state_path_ ? OpenStateStore(path, options).status()
                               : OpenBlobStore(path, options).status();
  }
  int64_t RootPage(const std::string& path, const std::string& table) {
    return SQLite::Database(path)
        .execAndGet("SELECT rootpage FROM sqlite_schema WHERE name = '" +
                    table + "'")
        .getInt64();
  }

  test::TempDir folder_;
  const std::string state_path_ = folder_.File("state.db");
  const std::string blobs_path_ = folder_.File("blobs.db");
  const std::string bytes_ = RandomBytes(700'000, 1);
  const std::string digest_ = Sha256Hex(bytes_);
};

TEST_F(DamageTest, AFlippedBitAtEachOf200OffsetsIsFound) {
  const std::string file = FileBytes(blobs_path_);
  // The pages of the blob: from its first bytes to its last.
  const size_t begin = file.find(bytes_.substr(0, 64));
  const size_t end = file.find(bytes_.substr(bytes_.size() - 64)) + 64;
  ASSERT_NE(begin, std::string::npos);
  ASSERT_GT(end, begin + bytes_.size() - 1);
  constexpr int kTried = 200;
  int found = 0;
  for (int i = 0; i < kTried; ++i) {
    const size_t offset = begin + (end - begin - 1) * i / (kTried - 1);
    Overwrite(blobs_path_, static_cast<int64_t>(offset),
              std::string(1, static_cast<char>(file[offset] ^ (1 << i % 8))));
    const absl::Status status = ReadBlob();
    if (absl::IsDataLoss(status)) ++found;
    EXPECT_THAT(status, HasError(absl::StatusCode::kDataLoss, "BLOB_DAMAGED"))
        << offset;
    EXPECT_THAT(std::string(status.message()), HasSubstr(digest_));
    Overwrite(blobs_path_, static_cast<int64_t>(offset),
              std::string(1, file[offset]));
  }
  EXPECT_EQ(found, kTried);
  EXPECT_THAT(ReadBlob(), IsOk());
  RecordProperty("flips_tried", kTried);
  RecordProperty("flips_found", found);
}

TEST_F(DamageTest, ATruncatedBlobIsFound) {
  {
    SQLite::Database database(blobs_path_, SQLite::OPEN_READWRITE);
    database.exec("UPDATE chunks SET bytes = substr(bytes, 1, 600000)");
  }
  EXPECT_THAT(ReadBlob(),
              HasError(absl::StatusCode::kDataLoss, "BLOB_DAMAGED"));
  EXPECT_THAT(Verify(), HasError(absl::StatusCode::kDataLoss, "BLOB_DAMAGED"));
}

TEST_F(DamageTest, ATruncatedFileIsFoundAtTheStart) {
  std::filesystem::resize_file(blobs_path_, 96 << 10);
  EXPECT_THAT(OpenChecked(blobs_path_, IntegrityCheck::kFull),
              HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"));
}

TEST_F(DamageTest, AMissingBlobIsNamed) {
  {
    SQLite::Database database(blobs_path_, SQLite::OPEN_READWRITE);
    database.exec("DELETE FROM blobs");
  }
  const absl::Status status = Verify();
  EXPECT_THAT(status, HasError(absl::StatusCode::kDataLoss, "BLOB_MISSING"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(digest_));
}

TEST_F(DamageTest, AWholeFolderVerifies) { EXPECT_THAT(Verify(), IsOk()); }

TEST_F(DamageTest, AnOverwrittenPageIsFoundAtTheStart) {
  struct Case {
    std::string path;
    std::string table;
  };
  for (const Case& c :
       std::vector<Case>{{state_path_, "examples"}, {blobs_path_, "blobs"}}) {
    for (const IntegrityCheck check :
         {IntegrityCheck::kQuick, IntegrityCheck::kFull}) {
      EXPECT_THAT(OpenChecked(c.path, check), IsOk()) << c.path;
    }
    const int64_t page_size =
        SQLite::Database(c.path).execAndGet("PRAGMA page_size").getInt64();
    Overwrite(c.path, (RootPage(c.path, c.table) - 1) * page_size,
              std::string(page_size, '\xee'));
    for (const IntegrityCheck check :
         {IntegrityCheck::kQuick, IntegrityCheck::kFull}) {
      EXPECT_THAT(OpenChecked(c.path, check),
                  HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"))
          << c.path;
    }
  }
}

TEST_F(DamageTest, ARowThatRefersToAMissingOneIsFoundAtTheStart) {
  {
    SQLite::Database database(state_path_, SQLite::OPEN_READWRITE);
    database.exec("DELETE FROM datasets");
  }
  EXPECT_THAT(OpenChecked(state_path_, IntegrityCheck::kQuick),
              HasError(absl::StatusCode::kDataLoss, "DATABASE_DAMAGED"));
}

}  // namespace
}  // namespace attune::storage
