#include "storage/blob_store.h"

#include <string>

#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/blob_table.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Bytes that differ from place to place.
std::string Pattern(int64_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  uint32_t state = seed * 2654435761u + 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

BlobView View(const std::string& bytes) {
  return BlobView{Sha256Hex(bytes), bytes};
}

// On a file and in memory.
class BlobStoreTest : public testing::TestWithParam<bool> {
 protected:
  BlobStoreTest() { Open(); }

  void Open() {
    SqliteOptions options;
    options.clock = &clock_;
    absl::StatusOr<std::unique_ptr<BlobStore>> store = OpenBlobStore(
        GetParam() ? folder_.File("blobs.db") : ":memory:", options);
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
  }
  // Collects everything put before now that is not in `referenced`.
  int64_t Collect(const std::vector<std::string>& referenced) {
    absl::StatusOr<int64_t> count = store_->CollectGarbage(
        absl::ZeroDuration(), [&](absl::Span<const std::string>) {
          return absl::StatusOr<std::vector<std::string>>(referenced);
        });
    EXPECT_THAT(count, IsOk());
    return count.value_or(-1);
  }

  test::TempDir folder_;
  FakeClock clock_;
  std::unique_ptr<BlobStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, BlobStoreTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "File" : "Memory";
                         });

TEST_P(BlobStoreTest, BlobsOfEverySizeComeBack) {
  for (const int64_t size :
       {int64_t{0}, int64_t{1}, int64_t{40'000}, kChunkBytes - 1, kChunkBytes,
        kChunkBytes + 1, 3 * kChunkBytes + 5, kTransactionBytes + 3}) {
    const std::string bytes = Pattern(size, size);
    const BlobView view = View(bytes);
    ASSERT_THAT(store_->Put({view}), IsOk());
    const absl::StatusOr<std::string> read = store_->ReadAll(view.digest);
    ASSERT_THAT(read, IsOk());
    EXPECT_TRUE(*read == bytes) << size;
    EXPECT_EQ(*store_->Size(view.digest), size);
  }
}

TEST_P(BlobStoreTest, AWriterTakesPiecesOfAnySize) {
  const std::string bytes = Pattern(3 * kChunkBytes + 77, 1);
  for (const size_t piece :
       {size_t{1} << 20, size_t{300'000}, bytes.size(), size_t{kChunkBytes}}) {
    Open();
    std::unique_ptr<BlobWriter> writer = store_->NewWriter();
    for (size_t at = 0; at < bytes.size(); at += piece) {
      ASSERT_THAT(writer->Append(absl::string_view(bytes).substr(at, piece)),
                  IsOk());
    }
    const absl::StatusOr<std::string> digest = writer->Commit(Sha256Hex(bytes));
    ASSERT_THAT(digest, IsOk());
    EXPECT_EQ(*digest, Sha256Hex(bytes));
    EXPECT_TRUE(store_->ReadAll(*digest).value() == bytes);
  }
}

TEST_P(BlobStoreTest, ReadGivesPiecesOfAtMostFourMebibytes) {
  const std::string bytes = Pattern(2 * kChunkBytes + 1, 2);
  ASSERT_THAT(store_->Put({View(bytes)}), IsOk());
  std::vector<size_t> sizes;
  EXPECT_THAT(store_->Read(Sha256Hex(bytes),
                           [&](absl::string_view piece) {
                             sizes.push_back(piece.size());
                             return absl::OkStatus();
                           }),
              IsOk());
  EXPECT_THAT(sizes, ElementsAre(kChunkBytes, kChunkBytes, 1));
}

TEST_P(BlobStoreTest, ReadStopsAtTheSinksError) {
  const std::string bytes = Pattern(2 * kChunkBytes, 3);
  ASSERT_THAT(store_->Put({View(bytes)}), IsOk());
  int calls = 0;
  EXPECT_EQ(store_->Read(Sha256Hex(bytes),
                         [&](absl::string_view) {
                           ++calls;
                           return absl::CancelledError("enough");
                         }),
            absl::CancelledError("enough"));
  EXPECT_EQ(calls, 1);
}

TEST_P(BlobStoreTest, ASinkMayUseTheStore) {
  const std::string bytes = Pattern(kChunkBytes + 1, 4);
  const std::string other = "other";
  ASSERT_THAT(store_->Put({View(bytes)}), IsOk());
  EXPECT_THAT(store_->Read(Sha256Hex(bytes),
                           [&](absl::string_view) {
                             return store_->Put({View(other)});
                           }),
              IsOk());
}

TEST_P(BlobStoreTest, AnUnknownDigestIsNotFound) {
  const auto not_found = HasError(absl::StatusCode::kNotFound, "NOT_FOUND");
  EXPECT_THAT(store_->ReadAll(Sha256Hex("no")), not_found);
  EXPECT_THAT(store_->Size(Sha256Hex("no")), not_found);
}

TEST_P(BlobStoreTest, TheSameBlobIsStoredOnce) {
  const std::string bytes = "picture";
  ASSERT_THAT(store_->Put({View(bytes), View(bytes)}), IsOk());
  ASSERT_THAT(store_->Put({View(bytes)}), IsOk());
  std::unique_ptr<BlobWriter> writer = store_->NewWriter();
  ASSERT_THAT(writer->Append(bytes), IsOk());
  ASSERT_THAT(writer->Commit(""), IsOk());
  EXPECT_EQ(*store_->TotalBytes(), 7);
}

TEST_P(BlobStoreTest, FindMissingKeepsTheOrder) {
  ASSERT_THAT(store_->Put({View("b")}), IsOk());
  const std::vector<std::string> digests = {Sha256Hex("c"), Sha256Hex("b"),
                                            Sha256Hex("a")};
  const auto missing = store_->FindMissing(digests);
  ASSERT_THAT(missing, IsOk());
  EXPECT_THAT(*missing, ElementsAre(digests[0], digests[2]));
}

TEST_P(BlobStoreTest, AWrongDigestKeepsNothing) {
  const std::string bytes = Pattern(kChunkBytes + 1, 5);
  {
    std::unique_ptr<BlobWriter> writer = store_->NewWriter();
    ASSERT_THAT(writer->Append(bytes), IsOk());
    EXPECT_THAT(writer->Commit(Sha256Hex("else")),
                HasError(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH"));
  }
  EXPECT_EQ(*store_->TotalBytes(), 0);
  EXPECT_THAT(store_->Size(Sha256Hex(bytes)),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_P(BlobStoreTest, WritersInterleave) {
  const std::string first = Pattern(2 * kChunkBytes + 9, 6);
  const std::string second = Pattern(2 * kChunkBytes + 9, 7);
  std::unique_ptr<BlobWriter> one = store_->NewWriter();
  std::unique_ptr<BlobWriter> two = store_->NewWriter();
  constexpr size_t kPiece = 1 << 20;
  for (size_t at = 0; at < first.size(); at += kPiece) {
    ASSERT_THAT(one->Append(absl::string_view(first).substr(at, kPiece)),
                IsOk());
    ASSERT_THAT(two->Append(absl::string_view(second).substr(at, kPiece)),
                IsOk());
    ASSERT_THAT(store_->Put({View("between")}), IsOk());
  }
  ASSERT_THAT(two->Commit(""), IsOk());
  ASSERT_THAT(one->Commit(""), IsOk());
  EXPECT_TRUE(store_->ReadAll(Sha256Hex(first)).value() == first);
  EXPECT_TRUE(store_->ReadAll(Sha256Hex(second)).value() == second);
}

TEST_P(BlobStoreTest, GarbageIsWhatIsOldAndUnreferenced) {
  const std::string large = Pattern(3 * kChunkBytes, 8);
  ASSERT_THAT(store_->Put({View("kept"), View("gone"), View(large)}), IsOk());
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(store_->Put({View("new")}), IsOk());
  EXPECT_EQ(Collect({Sha256Hex("kept")}), 2);
  EXPECT_EQ(*store_->TotalBytes(), 7);
  EXPECT_TRUE(store_->Size(Sha256Hex("kept")).ok());
  EXPECT_TRUE(store_->Size(Sha256Hex("new")).ok());
}

TEST_P(BlobStoreTest, PuttingABlobAgainRenewsItsGraceTime) {
  ASSERT_THAT(store_->Put({View("a"), View("b")}), IsOk());
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(store_->Put({View("a")}), IsOk());
  EXPECT_EQ(Collect({}), 1);
  EXPECT_TRUE(store_->Size(Sha256Hex("a")).ok());
}

TEST(BlobStoreReopenTest, WallTimeSetBetweenRunsMakesNoBlobOld) {
  test::TempDir folder;
  FakeClock clock;
  SqliteOptions options;
  options.clock = &clock;
  const std::string path = folder.File("blobs.db");
  ASSERT_THAT((*OpenBlobStore(path, options))->Put({View("a")}), IsOk());
  for (const absl::Duration jump : {absl::Hours(24), -absl::Hours(48)}) {
    clock.SetWall(clock.WallNow() + jump);
    const auto store = *OpenBlobStore(path, options);
    const auto collect = [&] {
      return *store->CollectGarbage(absl::Hours(1),
                                    [](absl::Span<const std::string>) {
                                      return std::vector<std::string>();
                                    });
    };
    EXPECT_EQ(collect(), 0);
    clock.Advance(absl::Minutes(59));
    EXPECT_EQ(collect(), 0);
    if (jump > absl::ZeroDuration()) continue;
    clock.Advance(absl::Minutes(2));
    EXPECT_EQ(collect(), 1);
  }
}

TEST_P(BlobStoreTest, ABlobPutWhileItsReferencesAreSoughtStays) {
  ASSERT_THAT(store_->Put({View("a")}), IsOk());
  clock_.Advance(absl::Hours(1));
  const auto count =
      store_->CollectGarbage(absl::ZeroDuration(),
                             [&](absl::Span<const std::string>)
                                 -> absl::StatusOr<std::vector<std::string>> {
                               EXPECT_THAT(store_->Put({View("a")}), IsOk());
                               return std::vector<std::string>();
                             });
  EXPECT_EQ(*count, 0);
  EXPECT_TRUE(store_->Size(Sha256Hex("a")).ok());
}

TEST_P(BlobStoreTest, GarbageCollectionStopsAtTheCallersError) {
  ASSERT_THAT(store_->Put({View("a")}), IsOk());
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(
      store_
          ->CollectGarbage(absl::ZeroDuration(),
                           [](absl::Span<const std::string>)
                               -> absl::StatusOr<std::vector<std::string>> {
                             return absl::UnavailableError("later");
                           })
          .status(),
      absl::UnavailableError("later"));
  EXPECT_TRUE(store_->Size(Sha256Hex("a")).ok());
}

TEST_P(BlobStoreTest, ThousandsOfBlobsAreCollectedInBatches) {
  std::vector<std::string> contents;
  for (int i = 0; i < 1'234; ++i) contents.push_back(std::to_string(i));
  std::vector<BlobView> views;
  for (const std::string& bytes : contents) views.push_back(View(bytes));
  ASSERT_THAT(store_->Put(views), IsOk());
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Collect({views[5].digest, views[1'000].digest}), 1'232);
  EXPECT_EQ(*store_->TotalBytes(), 5);
}

}  // namespace
}  // namespace attune::storage
