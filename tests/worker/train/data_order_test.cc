#include "worker/train/data_order.h"

#include <algorithm>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::train {
namespace {

using testing::ElementsAre;

std::vector<int64_t> Copy(absl::Span<const int64_t> span) {
  return {span.begin(), span.end()};
}

TEST(Permutation, HoldsEveryExampleOnce) {
  std::vector<int64_t> order = Permutation(7, 0, 3, 1000);
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
}

TEST(Permutation, DependsOnSeedStreamAndEpochAlone) {
  const auto order = Permutation(7, 0, 3, 100);
  EXPECT_EQ(order, Permutation(7, 0, 3, 100));
  EXPECT_NE(order, Permutation(8, 0, 3, 100));
  EXPECT_NE(order, Permutation(7, 1, 3, 100));
  EXPECT_NE(order, Permutation(7, 0, 4, 100));
}

// Resuming on another build must see the same data: the order is a format.
TEST(Permutation, StaysWhatItWas) {
  EXPECT_THAT(Permutation(0, 0, 0, 8), ElementsAre(6, 0, 4, 3, 7, 2, 5, 1));
  EXPECT_THAT(Permutation(1, 1, 2, 8), ElementsAre(3, 0, 4, 2, 7, 1, 6, 5));
}

TEST(Permutation, EveryOrderOfThreeIsAboutAsFrequent) {
  std::map<std::vector<int64_t>, int> counts;
  for (int epoch = 0; epoch < 6000; ++epoch) {
    ++counts[Permutation(5, 0, epoch, 3)];
  }
  ASSERT_EQ(counts.size(), 6u);
  // Five standard deviations of a binomial around 1,000.
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 145);
}

TEST(DataOrder, ShortLastBatchIsDropped) {
  DataOrder order(1, 0, 10, 4);
  EXPECT_EQ(order.steps_per_epoch(), 2);
  std::vector<int64_t> seen = Copy(order.Batch(0));
  for (int64_t i : order.Batch(1)) seen.push_back(i);
  const auto epoch = Permutation(1, 0, 0, 10);
  EXPECT_TRUE(std::equal(seen.begin(), seen.end(), epoch.begin()));
  EXPECT_EQ(Copy(order.Batch(2))[0], Permutation(1, 0, 1, 10)[0]);
}

TEST(DataOrder, BatchLargerThanTheStreamIsClipped) {
  DataOrder order(1, 0, 3, 512);
  EXPECT_EQ(order.batch_size(), 3);
  EXPECT_EQ(order.steps_per_epoch(), 1);
  EXPECT_EQ(order.Batch(5).size(), 3u);
}

TEST(DataOrder, StepsInAnyOrderGiveTheSameBatches) {
  DataOrder forward(9, 2, 20, 3), jumping(9, 2, 20, 3);
  const std::vector<int64_t> last = Copy(jumping.Batch(17));
  std::vector<int64_t> reached;
  for (int step = 0; step <= 17; ++step) reached = Copy(forward.Batch(step));
  EXPECT_EQ(reached, last);
}

TEST(DataOrder, FirstEpochStartsWithTheFirstBatches) {
  DataOrder order(4, 0, 10, 4);
  const std::vector<int64_t> first = order.FirstEpoch();
  ASSERT_EQ(first.size(), 10u);
  EXPECT_TRUE(
      std::equal(first.begin() + 4, first.begin() + 8, order.Batch(1).begin()));
}

}  // namespace
}  // namespace attune::train
