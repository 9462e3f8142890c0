#include "worker/train/embedding_cache.h"

#include <ATen/Functions.h>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::train {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Entries = std::vector<int64_t>;

// Embeds entry e as (e, −e) and remembers what was asked for.
struct Recorder {
  EmbeddingCache::Compute Compute() {
    return
        [this](
            absl::Span<const int64_t> entries) -> absl::StatusOr<at::Tensor> {
          calls.emplace_back(entries.begin(), entries.end());
          const at::Tensor column =
              at::tensor(calls.back(), at::kFloat).unsqueeze(1);
          return at::cat({column, -column}, 1);
        };
  }
  std::vector<Entries> calls;
};

TEST(EmbeddingCache, GivesTheRowsInTheOrderAskedFor) {
  Recorder recorder;
  EmbeddingCache cache({4, 2, 0, 3, 1}, 2, recorder.Compute());
  const at::Tensor rows = *cache.Rows({3, 4, 3});
  EXPECT_TRUE(at::equal(
      rows, at::tensor({3.f, -3.f, 4.f, -4.f, 3.f, -3.f}).reshape({3, 2})));
}

TEST(EmbeddingCache, ComputesWholeGroupsOnce) {
  Recorder recorder;
  EmbeddingCache cache({4, 2, 0, 3, 1}, 2, recorder.Compute());
  ASSERT_TRUE(cache.Rows({2}).ok());
  ASSERT_TRUE(cache.Rows({4, 1}).ok());
  ASSERT_TRUE(cache.Rows({4, 1, 2}).ok());
  EXPECT_THAT(recorder.calls, ElementsAre(Entries{4, 2}, Entries{1}));
}

// Entry 7 is not among those that can be asked for.
EmbeddingRows KnownRows() {
  return {{3, 7, 2},
          at::tensor({30.f, -30.f, 70.f, -70.f, 20.f, -20.f}).reshape({3, 2})};
}

TEST(EmbeddingCache, KnownRowsAreNotComputed) {
  Recorder recorder;
  EmbeddingCache cache({4, 2, 0, 3, 1}, 2, recorder.Compute(), 1'000,
                       KnownRows());
  EXPECT_TRUE(at::equal(
      *cache.Rows({2, 4, 3}),
      at::tensor({20.f, -20.f, 4.f, -4.f, 30.f, -30.f}).reshape({3, 2})));
  ASSERT_TRUE(cache.Rows({1}).ok());
  EXPECT_THAT(recorder.calls, ElementsAre(Entries{4, 0}, Entries{1}));
}

TEST(EmbeddingCache, KnownRowsAreKeptBesideTheBound) {
  Recorder recorder;
  EmbeddingCache cache({4, 2, 0, 3, 1}, 2, recorder.Compute(), /*kept=*/2,
                       KnownRows());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(at::equal(
        *cache.Rows({3, 1, 0}),
        at::tensor({30.f, -30.f, 1.f, -1.f, 0.f, -0.f}).reshape({3, 2})));
  }
  EXPECT_THAT(recorder.calls,
              ElementsAre(Entries{4, 0}, Entries{1}, Entries{1}));
}

TEST(EmbeddingCache, ComputedRowsLackWhatWasKnownOrNotAskedFor) {
  Recorder recorder;
  EmbeddingCache cache({4, 2, 0, 3, 1}, 2, recorder.Compute(), 1'000,
                       KnownRows());
  EXPECT_THAT(cache.Computed().entries, IsEmpty());
  ASSERT_TRUE(cache.Rows({0, 2}).ok());
  const EmbeddingRows computed = cache.Computed();
  EXPECT_THAT(computed.entries, ElementsAre(4, 0));
  EXPECT_TRUE(at::equal(computed.rows,
                        at::tensor({4.f, -4.f, 0.f, -0.f}).reshape({2, 2})));
}

TEST(EmbeddingCache, KeepsWholeGroupsWithinTheBoundAndComputesTheRestAnew) {
  Recorder recorder;
  EmbeddingCache cache({4, 2, 0, 3, 1}, 2, recorder.Compute(), /*kept=*/3);
  const at::Tensor rows = *cache.Rows({3, 4, 1, 2});
  EXPECT_TRUE(
      at::equal(rows, at::tensor({3.f, -3.f, 4.f, -4.f, 1.f, -1.f, 2.f, -2.f})
                          .reshape({4, 2})));
  ASSERT_TRUE(cache.Rows({4, 2}).ok());
  EXPECT_TRUE(
      at::equal(*cache.Rows({0}), at::tensor({0.f, -0.f}).reshape({1, 2})));
  EXPECT_THAT(recorder.calls,
              ElementsAre(Entries{4, 2}, Entries{3, 1}, Entries{0}));
}

TEST(EmbeddingCache, BoundBelowOneGroupKeepsNothing) {
  Recorder recorder;
  EmbeddingCache cache({0, 1}, 2, recorder.Compute(), /*kept=*/1);
  ASSERT_TRUE(cache.Rows({0}).ok());
  ASSERT_TRUE(cache.Rows({0}).ok());
  EXPECT_THAT(recorder.calls, ElementsAre(Entries{0}, Entries{0}));
}

TEST(EmbeddingCache, EntriesMayHaveAnyShape) {
  EmbeddingCache cache(
      {0, 1, 2}, 2,
      [](absl::Span<const int64_t> entries) -> absl::StatusOr<at::Tensor> {
        return at::full({static_cast<int64_t>(entries.size()), 3, 4},
                        static_cast<double>(entries[0]));
      },
      /*kept=*/2);
  const at::Tensor rows = *cache.Rows({2, 1});
  EXPECT_EQ(rows.sizes(), (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(rows[0].mean().item<float>(), 2);
  EXPECT_EQ(rows[1].mean().item<float>(), 0);
}

TEST(EmbeddingCache, FailedGroupIsTriedAgain) {
  bool fails = true;
  EmbeddingCache cache(
      {0}, 1, [&](absl::Span<const int64_t>) -> absl::StatusOr<at::Tensor> {
        if (fails) return absl::UnavailableError("no pixels");
        return at::ones({1, 2});
      });
  EXPECT_EQ(cache.Rows({0}).status().code(), absl::StatusCode::kUnavailable);
  fails = false;
  EXPECT_TRUE(cache.Rows({0}).ok());
}

}  // namespace
}  // namespace attune::train
