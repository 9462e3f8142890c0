#include "server/core/upload_staging.h"

#include "common/digest.h"
#include "common/error.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::SizeIs;

constexpr char kTarget[] = "dataset/d";

class UploadStagingTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<UploadStaging>> Begin(
      int64_t offset, const std::string& target = kTarget) {
    return UploadStaging::Begin(*state_, clock_, id_, target, offset);
  }
  absl::StatusOr<UploadProgress> Find(const std::string& target = kTarget) {
    absl::StatusOr<UploadProgress> progress;
    const absl::Status status =
        state_->Read([&](storage::StateTransaction& transaction) {
          progress = FindUpload(transaction, id_, target);
          return absl::OkStatus();
        });
    EXPECT_THAT(status, IsOk());
    return progress;
  }
  // Whether the blobs of Part are kept.
  bool KeepsBlobs() {
    std::vector<std::string> kept;
    EXPECT_THAT(state_->Read([&](storage::StateTransaction& transaction) {
      const auto found = transaction.FindReferencedBlobs(
          std::vector<std::string>{Sha256Hex("picture")});
      if (found.ok()) kept = *found;
      return found.status();
    }),
                IsOk());
    return !kept.empty();
  }
  static storage::UploadPart Part(int64_t end_offset) {
    storage::UploadPart part;
    part.end_offset = end_offset;
    part.hash_state = "state";
    storage::Example& example = part.examples.emplace_back();
    example.kind = storage::ExampleKind::kPair;
    example.text = "a dog";
    example.other_text = "a cat";
    example.image_digest = Sha256Hex("picture");
    example.image_size_bytes = 7;
    example.attributes = {{"color", "red"}};
    return part;
  }

  FakeClock clock_;
  const std::string id_ = NewUuid();
  std::unique_ptr<storage::StateStore> state_ =
      *storage::OpenStateStore(":memory:");
};

TEST_F(UploadStagingTest, ANextStreamFindsThePartsUpToItsOffset) {
  {
    const auto first = Begin(0);
    ASSERT_THAT(first, IsOk());
    for (const int64_t end : {10, 20, 30}) {
      ASSERT_THAT((*first)->Add(Part(end)), IsOk());
    }
  }
  EXPECT_EQ(Find()->offset, 30);
  const auto second = Begin(20);
  ASSERT_THAT(second, IsOk());
  const auto parts = (*second)->TakeParts();
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_EQ(parts[1].end_offset, 20);
  EXPECT_EQ(parts[1].hash_state, "state");
  ASSERT_THAT(parts[1].examples, SizeIs(1));
  const storage::Example& example = parts[1].examples[0];
  EXPECT_EQ(example.kind, storage::ExampleKind::kPair);
  EXPECT_EQ(example.text, "a dog");
  EXPECT_EQ(example.other_text, "a cat");
  EXPECT_EQ(example.image_digest, Sha256Hex("picture"));
  EXPECT_EQ(example.image_size_bytes, 7);
  EXPECT_EQ(example.attributes.at("color"), "red");
  EXPECT_EQ(Find()->offset, 20);
}

TEST_F(UploadStagingTest, AnOffsetWhereNoPartEndsIsRefusedAndChangesNothing) {
  const auto first = Begin(0);
  ASSERT_THAT((*first)->Add(Part(10)), IsOk());
  EXPECT_THAT(Begin(7),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
  EXPECT_THAT(Begin(11),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
  EXPECT_EQ(Find()->offset, 10);
  // Nor is the stream that was there disturbed.
  EXPECT_THAT((*first)->Add(Part(20)), IsOk());
}

TEST_F(UploadStagingTest, OffsetZeroBeginsAgain) {
  ASSERT_THAT((*Begin(0))->Add(Part(10)), IsOk());
  const auto again = Begin(0);
  ASSERT_THAT(again, IsOk());
  EXPECT_THAT((*again)->TakeParts(), SizeIs(0));
  EXPECT_EQ(Find()->offset, 0);
}

TEST_F(UploadStagingTest, AStreamThatWasTakenOverAddsNothing) {
  const auto first = Begin(0);
  const auto second = Begin(0);
  ASSERT_THAT(second, IsOk());
  EXPECT_THAT((*first)->Add(Part(10)),
              HasError(absl::StatusCode::kAborted, "UPLOAD_TAKEN_OVER"));
  EXPECT_THAT((*second)->Add(Part(12)), IsOk());
  EXPECT_EQ(Find()->offset, 12);
}

TEST_F(UploadStagingTest, ACommittedUploadTakesNothingFromLateStreams) {
  const auto first = Begin(0);
  ASSERT_THAT(state_->Write([&](storage::StateTransaction& transaction) {
    return (*first)->Remove(transaction);
  }),
              IsOk());
  EXPECT_THAT((*first)->Add(Part(10)),
              HasError(absl::StatusCode::kAborted, "UPLOAD_TAKEN_OVER"));
}

TEST_F(UploadStagingTest, AnIdOfAnotherUploadIsRefused) {
  ASSERT_THAT(Begin(0), IsOk());
  const auto reused =
      HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED");
  EXPECT_THAT(Begin(0, "dataset/other"), reused);
  EXPECT_THAT(Find("dataset/other"), reused);
}

TEST_F(UploadStagingTest, OnlyTheUploadItselfIsCommitted) {
  const auto staging = Begin(0);
  ASSERT_THAT(state_->Write([&](storage::StateTransaction& transaction) {
    return transaction.requests().Insert(
        {id_, "digest", (*staging)->Record("7"), clock_.WallNow()});
  }),
              IsOk());
  const auto found = Find();
  ASSERT_THAT(found, IsOk());
  EXPECT_TRUE(found->committed);
  EXPECT_EQ(found->result, "7");
  const auto reused =
      HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED");
  EXPECT_THAT(Find("dataset/other"), reused);
  EXPECT_THAT(Find("dataset/"), reused);
  EXPECT_THAT(Find("model/d"), reused);
}

TEST_F(UploadStagingTest, AnIdOfAnotherCallIsRefused) {
  ASSERT_THAT(state_->Write([&](storage::StateTransaction& transaction) {
    return transaction.requests().Insert(
        {id_, "digest", "job-1", clock_.WallNow()});
  }),
              IsOk());
  EXPECT_THAT(Find(),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
}

TEST_F(UploadStagingTest, ARecordGivesItsResultBack) {
  EXPECT_EQ(ResultOfRecord((*Begin(0))->Record("400")), "400");
  EXPECT_EQ(ResultOfRecord("400"), "400");
}

TEST_F(UploadStagingTest, WithoutAnIdNothingOutlivesTheStream) {
  {
    const auto nameless = UploadStaging::Begin(*state_, clock_, "", kTarget, 0);
    ASSERT_THAT(nameless, IsOk());
    ASSERT_THAT((*nameless)->Add(Part(10)), IsOk());
    EXPECT_TRUE(KeepsBlobs());
  }
  EXPECT_FALSE(KeepsBlobs());
  ASSERT_THAT((*Begin(0))->Add(Part(10)), IsOk());
  EXPECT_TRUE(KeepsBlobs());
}

TEST_F(UploadStagingTest, OnlyWhatWouldFailAgainIsForgotten) {
  const auto staging = Begin(0);
  ASSERT_THAT((*staging)->Add(Part(10)), IsOk());
  (*staging)->GiveUp(absl::UnavailableError("later"));
  (*staging)->GiveUp(absl::ResourceExhaustedError("full"));
  EXPECT_EQ(Find()->offset, 10);
  (*staging)->GiveUp(absl::InvalidArgumentError("bad row"));
  EXPECT_EQ(Find()->offset, 0);
}

TEST_F(UploadStagingTest, AnUploadThatIsTooLargeIsForgotten) {
  const auto staging = Begin(0);
  ASSERT_THAT((*staging)->Add(Part(10)), IsOk());
  (*staging)->GiveUp(Error(absl::StatusCode::kResourceExhausted,
                           "UPLOAD_TOO_LARGE", "too many rows"));
  EXPECT_EQ(Find()->offset, 0);
  EXPECT_FALSE(KeepsBlobs());
}

TEST_F(UploadStagingTest, AnUploadOfWhichNothingIsStoredHasOffsetZero) {
  EXPECT_EQ(Find()->offset, 0);
  EXPECT_FALSE(Find()->committed);
}

}  // namespace
}  // namespace attune::core
