#include "server/core/models/version_resolver.h"

#include <cmath>
#include <memory>
#include <string>

#include "common/digest.h"
#include "gtest/gtest.h"
#include "server/core/models/model_registry.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/server/core/models/clip_file.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;

class VersionResolverTest : public testing::Test {
 protected:
  void Import(absl::string_view model) {
    const std::string file = ClipFile(SmallClip());
    auto import = registry_.BeginImport(model);
    ASSERT_THAT((*import)->Append(file), IsOk());
    ASSERT_THAT(registry_.CommitImport(model, **import,
                                       static_cast<int64_t>(file.size()),
                                       Sha256Hex(file), {}),
                IsOk());
  }

  FakeClock clock_;
  std::unique_ptr<storage::StateStore> store_ =
      *storage::OpenStateStore(":memory:");
  std::unique_ptr<storage::BlobStore> blobs_ =
      *storage::OpenBlobStore(":memory:");
  WatchedStateStore state_{*store_};
  ModelRegistry registry_{state_, *blobs_, clock_, nullptr};
  VersionResolver resolver_{state_, *blobs_};
};

TEST_F(VersionResolverTest, ResolvedVersionIsRememberedWithItsScale) {
  Import("base");
  EXPECT_EQ(resolver_.Cached("base"), nullptr);
  const auto version = resolver_.Resolve("version", "base");
  ASSERT_THAT(version, IsOk());
  EXPECT_EQ((*version)->version.number, 1);
  EXPECT_NEAR((*version)->scale, std::exp(2.0), 1e-12);
  EXPECT_EQ(resolver_.Cached("base"), *version);
}

TEST_F(VersionResolverTest, NewVersionAliasAndDeletionAreSeenAtOnce) {
  Import("base");
  ASSERT_THAT(resolver_.Resolve("version", "base"), IsOk());
  Import("base");
  EXPECT_EQ(resolver_.Cached("base"), nullptr);
  EXPECT_EQ((*resolver_.Resolve("version", "base"))->version.number, 2);

  ASSERT_THAT(registry_.SetAlias("base", "stable", 1, false, {}), IsOk());
  EXPECT_EQ((*resolver_.Resolve("version", "base@stable"))->version.number, 1);
  ASSERT_THAT(registry_.SetAlias("base", "stable", 2, false, {}), IsOk());
  EXPECT_EQ((*resolver_.Resolve("version", "base@stable"))->version.number, 2);

  ASSERT_THAT(registry_.Delete("base", {}), IsOk());
  EXPECT_THAT(resolver_.Resolve("version", "base"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(VersionResolverTest, WritesThatLeaveModelsAloneKeepTheMemory) {
  Import("base");
  ASSERT_THAT(resolver_.Resolve("version", "base"), IsOk());
  ASSERT_THAT(state_.Write([](storage::StateTransaction& transaction) {
    return transaction.requests().DeleteBefore(absl::UnixEpoch());
  }),
              IsOk());
  EXPECT_NE(resolver_.Cached("base"), nullptr);
}

TEST_F(VersionResolverTest, BadAndUnknownSelectorsAreErrors) {
  EXPECT_THAT(resolver_.Resolve("against", "no such:"),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_SELECTOR"));
  EXPECT_THAT(resolver_.Resolve("version", "base:1"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

}  // namespace
}  // namespace attune::core
