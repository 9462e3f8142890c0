#include "server/core/garbage_collector.h"

#include <memory>
#include <string>
#include <vector>

#include "common/digest.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/models/model_registry.h"
#include "server/core/upload_staging.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/server/core/models/clip_file.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::IsOk;
using ::testing::IsEmpty;

class GarbageCollectorTest : public testing::Test {
 protected:
  void SetUp() override {
    storage::SqliteOptions options;
    options.clock = &clock_;
    state_ = *storage::OpenStateStore(":memory:", options);
    blobs_ = *storage::OpenBlobStore(":memory:", options);
    registry_ =
        std::make_unique<ModelRegistry>(*state_, *blobs_, clock_, nullptr);
  }

  void Put(const std::string& bytes) {
    const storage::BlobView view{Sha256Hex(bytes), bytes};
    ASSERT_THAT(blobs_->Put({view}), IsOk());
  }

  bool Has(const std::string& bytes) {
    const std::string digest = Sha256Hex(bytes);
    return blobs_->FindMissing({digest})->empty();
  }

  void Collect() {
    ASSERT_THAT(CollectGarbage(*state_, *blobs_, GarbageOptions{}.grace),
                IsOk());
  }

  FakeClock clock_;
  std::unique_ptr<storage::StateStore> state_;
  std::unique_ptr<storage::BlobStore> blobs_;
  std::unique_ptr<ModelRegistry> registry_;
};

TEST_F(GarbageCollectorTest, UnnamedBlobsGoAfterTheGraceTime) {
  Put("orphan");
  clock_.Advance(absl::Minutes(59));
  Collect();
  EXPECT_TRUE(Has("orphan"));
  clock_.Advance(absl::Minutes(2));
  Put("young");
  Collect();
  EXPECT_FALSE(Has("orphan"));
  EXPECT_TRUE(Has("young"));
}

TEST_F(GarbageCollectorTest, AnUploadThatWasCutKeepsItsBlobsForItsLifetime) {
  const std::string id = NewUuid();
  const auto staging =
      UploadStaging::Begin(*state_, clock_, id, "dataset/d", 0);
  ASSERT_THAT(staging, IsOk());
  Put("picture");
  storage::UploadPart part;
  part.end_offset = 10;
  part.examples.emplace_back().image_digest = Sha256Hex("picture");
  ASSERT_THAT((*staging)->Add(part), IsOk());
  clock_.Advance(absl::Hours(23));
  EXPECT_EQ(*ForgetUploads(*state_, clock_.WallNow() - absl::Hours(24)), 0);
  Collect();
  EXPECT_TRUE(Has("picture"));
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(*ForgetUploads(*state_, clock_.WallNow() - absl::Hours(24)), 1);
  Collect();
  EXPECT_FALSE(Has("picture"));
}

TEST_F(GarbageCollectorTest, WallTimeDecidesNothing) {
  for (const absl::Duration jump :
       {absl::Hours(1), -absl::Hours(3), absl::Hours(24 * 365)}) {
    const std::string bytes = absl::FormatDuration(jump);
    Put(bytes);
    clock_.SetWall(clock_.WallNow() + jump);
    Collect();
    EXPECT_TRUE(Has(bytes)) << jump;
  }
  clock_.Advance(absl::Minutes(61));
  Collect();
  EXPECT_EQ(*blobs_->TotalBytes(), 0);
}

TEST_F(GarbageCollectorTest, TensorsStayUntilTheirLastVersionIsDeleted) {
  const std::string file = ClipFile(SmallClip());
  std::vector<std::string> digests;
  for (const char* model : {"base", "copy"}) {
    auto import = registry_->BeginImport(model);
    ASSERT_THAT((*import)->Append(file), IsOk());
    ASSERT_THAT(registry_->CommitImport(model, **import,
                                        static_cast<int64_t>(file.size()),
                                        Sha256Hex(file), {}),
                IsOk());
  }
  ASSERT_THAT(state_->Read([&](storage::StateTransaction& transaction) {
    const auto version = transaction.models().GetVersion("base", 1);
    const auto manifest = transaction.models().GetManifest(version->digest);
    for (const auto& tensor : *manifest) digests.push_back(tensor.blob_digest);
    return absl::OkStatus();
  }),
              IsOk());
  clock_.Advance(absl::Hours(2));
  ASSERT_THAT(registry_->Delete("base", {}), IsOk());
  Collect();
  EXPECT_THAT(*blobs_->FindMissing(digests), IsEmpty());
  ASSERT_THAT(registry_->Delete("copy", {}), IsOk());
  Collect();
  EXPECT_EQ(*blobs_->TotalBytes(), 0);
}

}  // namespace
}  // namespace attune::core
