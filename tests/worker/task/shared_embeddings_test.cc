#include "worker/task/shared_embeddings.h"

#include <ATen/Functions.h>

#include <limits>

#include "common/grpc/channel.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/fake_server/fake_server.h"

namespace attune::task {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSize = 2;

// Four pictures; their digests are those of some blobs.
class SharedEmbeddingsTest : public testing::Test {
 protected:
  SharedEmbeddingsTest() {
    server_.AddLease("lease");
    std::vector<v1::Example> examples(4);
    for (int i = 0; i < 4; ++i) {
      examples[i].set_id(i + 1);
      examples[i].set_image_digest(server_.AddBlob(std::string(1, 'a' + i)));
      examples[i].mutable_clean();
    }
    examples_ = ExampleSet(examples);
  }

  // Picture i is embedded as (i + plus, −i).
  v1::StoredEmbeddings Store(const std::vector<int64_t>& images,
                             float plus = 0) {
    const at::Tensor column = at::tensor(images, at::kFloat).unsqueeze(1);
    const auto stored =
        StoreEmbeddings(connection_, "lease", "v", examples_,
                        {images, at::cat({column + plus, -column}, 1)});
    EXPECT_TRUE(stored.ok()) << stored.status();
    return *stored;
  }

  FoundEmbeddings Fetch(
      const std::vector<v1::StoredEmbeddings>& stored,
      const std::vector<int64_t>& images,
      const std::optional<std::vector<std::string>>& sources = std::nullopt) {
    google::protobuf::RepeatedPtrField<v1::StoredEmbeddings> all(stored.begin(),
                                                                 stored.end());
    const auto found = FetchEmbeddings(connection_, all, "v", examples_, images,
                                       kSize, sources);
    EXPECT_TRUE(found.ok()) << found.status();
    return *found;
  }

  test::FakeServer server_;
  transport::StopSignal stop_;
  transport::ServerConnection connection_{ConnectTo(server_.address()), stop_};
  ExampleSet examples_{{}};
};

TEST_F(SharedEmbeddingsTest, ComeBackByPicture) {
  const FoundEmbeddings found = Fetch({Store({2, 0, 3})}, {0, 1, 2});
  EXPECT_THAT(found.rows.entries, ElementsAre(2, 0));
  EXPECT_TRUE(at::equal(found.rows.rows,
                        at::tensor({2.f, -2.f, 0.f, -0.f}).view({2, 2})));
  EXPECT_EQ(found.sources.size(), 1u);
}

TEST_F(SharedEmbeddingsTest, TheFirstThatHasAPictureCounts) {
  const auto first = Store({0, 1}), second = Store({1, 2}, 10);
  const FoundEmbeddings found = Fetch({first, second}, {0, 1, 2});
  EXPECT_THAT(found.rows.entries, ElementsAre(0, 1, 2));
  EXPECT_EQ(found.rows.rows[1][0].item<float>(), 1);
  EXPECT_EQ(found.rows.rows[2][0].item<float>(), 12);
  EXPECT_EQ(found.sources.size(), 2u);
}

TEST_F(SharedEmbeddingsTest, NothingIsFetchedOnceAllAreFound) {
  const auto first = Store({0, 1}), second = Store({1, 2});
  const FoundEmbeddings found = Fetch({first, second}, {0, 1});
  EXPECT_EQ(found.sources.size(), 1u);
  // The two tensors of the first: the fake server counts blobs.
  EXPECT_EQ(server_.seen().calls["GetBlobs"], 2);
}

TEST_F(SharedEmbeddingsTest, OnlyTheGivenSourcesAreTaken) {
  const auto first = Store({0, 1}), second = Store({1, 2}, 10);
  const auto both = Fetch({first, second}, {0, 1, 2});
  const auto found = Fetch({first, second}, {0, 1, 2},
                           std::vector<std::string>{both.sources.at(1)});
  EXPECT_THAT(found.rows.entries, ElementsAre(1, 2));
  EXPECT_THAT(found.sources, ElementsAre(both.sources.at(1)));
  EXPECT_THAT(Fetch({first}, {0}, std::vector<std::string>()).rows.entries,
              IsEmpty());
}

TEST_F(SharedEmbeddingsTest, OtherVariantsAreNotTaken) {
  auto stored = Store({0});
  stored.set_variant("other");
  EXPECT_THAT(Fetch({stored}, {0}).rows.entries, IsEmpty());
  EXPECT_NE(EmbeddingVariant(true), EmbeddingVariant(false));
}

TEST_F(SharedEmbeddingsTest, WhatIsGoneOrDamagedIsComputedAnew) {
  const auto good = Store({1});
  const auto damaged = Store({0});
  server_.DamageBlob(damaged.manifest().tensors(0).blob_digest(), "short");
  auto missing = Store({2});
  missing.mutable_manifest()->mutable_tensors(0)->set_blob_digest(
      std::string(64, '0'));
  const auto infinite = Store({3}, std::numeric_limits<float>::infinity());
  auto without_images = Store({2}, 5);
  without_images.mutable_manifest()->mutable_tensors()->RemoveLast();
  EXPECT_THAT(
      Fetch({damaged, missing, infinite, without_images, good}, {0, 1, 2, 3})
          .rows.entries,
      ElementsAre(1));
}

TEST_F(SharedEmbeddingsTest, StoppingEndsTheFetch) {
  google::protobuf::RepeatedPtrField<v1::StoredEmbeddings> all;
  *all.Add() = Store({0});
  stop_.Stop();
  EXPECT_EQ(FetchEmbeddings(connection_, all, "v", examples_, {0}, kSize, {})
                .status()
                .code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace attune::task
