// What a disk that fills up still takes, and in which order it refuses.

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/disk_space.h"
#include "tests/storage/sqlite/faulty_disk.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;

constexpr int64_t kMebibyte = int64_t{1} << 20;

// A disk of 256 MiB with both stores on it.
class DiskFullTest : public testing::Test {
 protected:
  DiskFullTest() {
    disk_.set_records(false);
    disk_.set_capacity(kCapacity);
    DiskSpaceOptions options;
    options.min_free_bytes = 128 * kMebibyte;
    options.reserve_bytes = 32 * kMebibyte;
    options.free_bytes = [this] {
      return absl::StatusOr<int64_t>(capacity_ - disk_.UsedBytes() -
                                     ReserveBytes());
    };
    auto space = DiskSpace::Open(folder_.path(), options);
    EXPECT_THAT(space, IsOk());
    space_ = *std::move(space);
    SqliteOptions sqlite;
    sqlite.disk = space_.get();
    sqlite.clock = &clock_;
    auto state = OpenStateStore(folder_.File("state.db"), sqlite);
    auto blobs = OpenBlobStore(folder_.File("blobs.db"), sqlite);
    EXPECT_THAT(state, IsOk());
    EXPECT_THAT(blobs, IsOk());
    state_ = *std::move(state);
    blobs_ = *std::move(blobs);
  }

  static constexpr int64_t kCapacity = 256 * kMebibyte;

  int64_t ReserveBytes() const {
    return static_cast<int64_t>(
        std::filesystem::file_size(folder_.File("RESERVE")));
  }
  void Resize(int64_t capacity) {
    capacity_ = capacity;
    disk_.set_capacity(capacity);
  }

  absl::Status PutBlob(int number) {
    std::string bytes(4 * kMebibyte, static_cast<char>(number));
    return blobs_->Put({BlobView{Sha256Hex(bytes), bytes}});
  }
  // Stores blobs until one is refused; how many there are.
  int Fill() {
    int number = 0;
    while (number < 1000 && PutBlob(number).ok()) ++number;
    return number;
  }
  absl::Status AddEvent(int number) {
    return state_->Write([&](StateTransaction& transaction) {
      Model model;
      model.name = absl::StrCat(number, std::string(kMebibyte / 4, 'm'));
      return transaction.models().Insert(model);
    });
  }

  test::TempDir folder_;
  FaultyDisk disk_{/*seed=*/1};
  FakeClock clock_;
  int64_t capacity_ = kCapacity;
  std::unique_ptr<DiskSpace> space_;
  std::unique_ptr<StateStore> state_;
  std::unique_ptr<BlobStore> blobs_;
};

TEST_F(DiskFullTest, UploadsAreRefusedBeforeBlobsAndBlobsBeforeJobs) {
  ASSERT_TRUE(space_->reserve_held());
  int number = 0;
  while (blobs_->CheckRoom().ok()) ASSERT_THAT(PutBlob(number++), IsOk());
  EXPECT_THAT(blobs_->CheckRoom(),
              HasError(absl::StatusCode::kResourceExhausted, "LOW_DISK_SPACE"));
  // Checkpoints still come.
  ASSERT_THAT(PutBlob(number++), IsOk());
  while (number < 1000 && PutBlob(number).ok()) ++number;
  EXPECT_THAT(PutBlob(number),
              HasError(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
  EXPECT_THAT(blobs_->NewWriter()->Append(std::string(5 * kMebibyte, 'x')),
              HasError(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
  EXPECT_GE(space_->FreeBytes(), DiskSpace::kStateBytes * 3 / 4);
  // 50 MiB of state are more than what was free beside the reserve.
  for (int i = 0; i < 100; ++i) ASSERT_THAT(AddEvent(i), IsOk()) << i;
  EXPECT_FALSE(space_->reserve_held());
}

TEST_F(DiskFullTest, TheReserveComesBackOnceThereIsRoom) {
  Fill();
  for (int i = 0; i < 100; ++i) ASSERT_THAT(AddEvent(i), IsOk());
  ASSERT_FALSE(space_->reserve_held());
  Resize(2 * kCapacity);
  EXPECT_THAT(AddEvent(200), IsOk());
  EXPECT_TRUE(space_->reserve_held());
  EXPECT_EQ(ReserveBytes(), 32 * kMebibyte);
  EXPECT_THAT(blobs_->CheckRoom(), IsOk());
  EXPECT_THAT(PutBlob(999), IsOk());
}

TEST_F(DiskFullTest, AStateThatOtherProgramsLeftNoRoomGetsTheReserve) {
  // Another program takes everything between the question and the write.
  space_ = nullptr;
  DiskSpaceOptions options;
  options.reserve_bytes = 32 * kMebibyte;
  options.free_bytes = [] { return absl::StatusOr<int64_t>(kCapacity); };
  auto space = DiskSpace::Open(folder_.path(), options);
  ASSERT_THAT(space, IsOk());
  SqliteOptions sqlite;
  sqlite.disk = space->get();
  state_ = nullptr;
  auto state = OpenStateStore(folder_.File("state.db"), sqlite);
  ASSERT_THAT(state, IsOk());
  state_ = *std::move(state);
  disk_.set_capacity(disk_.UsedBytes());
  EXPECT_THAT(AddEvent(1),
              HasError(absl::StatusCode::kResourceExhausted, "DISK_FULL"));
  EXPECT_EQ(ReserveBytes(), 0);
  disk_.set_capacity(disk_.UsedBytes() + 32 * kMebibyte);
  EXPECT_THAT(AddEvent(1), IsOk());
}

TEST_F(DiskFullTest, WhatGarbageCollectionFreesIsRoomForUploads) {
  const int count = Fill();
  ASSERT_GT(count, 10);
  clock_.Advance(absl::Hours(2));
  const auto deleted = blobs_->CollectGarbage(
      absl::ZeroDuration(), [](absl::Span<const std::string>) {
        return absl::StatusOr<std::vector<std::string>>(
            std::vector<std::string>());
      });
  ASSERT_THAT(deleted, IsOk());
  EXPECT_EQ(*deleted, count);
  // The file has not shrunk, and need not grow.
  EXPECT_THAT(blobs_->CheckRoom(), IsOk());
  EXPECT_THAT(PutBlob(1), IsOk());
}

}  // namespace
}  // namespace attune::storage
