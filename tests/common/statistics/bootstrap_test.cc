#include "common/statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "tests/common/statistics/golden.h"

namespace attune::statistics {
namespace {

// Five standard errors of the resampling, and a step of the share.
void ExpectNear(const Interval& found, const nlohmann::json& expected,
                double step) {
  EXPECT_NEAR(found.low, expected["low"].get<double>(),
              5 * expected["low_error"].get<double>() + step)
      << expected;
  EXPECT_NEAR(found.high, expected["high"].get<double>(),
              5 * expected["high_error"].get<double>() + step)
      << expected;
}

TEST(BootstrapShareTest, HasTheQuantilesOfTheBinomialDistribution) {
  for (const auto& row : Golden()["share"]) {
    const auto right = row["right"].get<int64_t>();
    const auto count = row["count"].get<int64_t>();
    const double rows = static_cast<double>(count);
    const double share = static_cast<double>(right) / rows;
    // The standard error of a 2.5 % quantile of 2,000 normal draws is 0.06
    // deviations.
    const double error =
        5 * 0.06 * std::sqrt(share * (1 - share) / rows) + 1 / rows;
    const Interval interval = BootstrapShare(right, count, {});
    EXPECT_NEAR(interval.low, row["low"].get<double>(), error) << row;
    EXPECT_NEAR(interval.high, row["high"].get<double>(), error) << row;
  }
}

TEST(BootstrapShareTest, IsAPointWhenAllRowsAreTheSame) {
  EXPECT_EQ(BootstrapShare(0, 9, {}), (Interval{0, 0}));
  EXPECT_EQ(BootstrapShare(9, 9, {}), (Interval{1, 1}));
  EXPECT_EQ(BootstrapShare(1, 1, {}), (Interval{1, 1}));
}

TEST(BootstrapShareTest, TheSeedDecidesTheResamples) {
  const Interval first = BootstrapShare(331, 1000, {.seed = 1});
  EXPECT_EQ(BootstrapShare(331, 1000, {.seed = 1}), first);
  EXPECT_NE(BootstrapShare(331, 1000, {.seed = 2}), first);
}

TEST(BootstrapShareTest, ALowerConfidenceIsNarrower) {
  const Interval wide = BootstrapShare(300, 1000, {.confidence = 0.95});
  const Interval narrow = BootstrapShare(300, 1000, {.confidence = 0.5});
  EXPECT_LT(wide.low, narrow.low);
  EXPECT_GT(wide.high, narrow.high);
}

TEST(BootstrapDifferenceTest, AgreesWithResampledRows) {
  for (const auto& row : Golden()["difference"]) {
    ExpectNear(BootstrapDifference(row["only_first"], row["only_second"],
                                   row["count"], {}),
               row, 1 / row["count"].get<double>());
  }
}

TEST(BootstrapDifferenceTest, IsPairedSoRowsThatAgreeAddNoDoubt) {
  EXPECT_EQ(BootstrapDifference(0, 0, 500, {}), (Interval{0, 0}));
  EXPECT_EQ(BootstrapDifference(5, 0, 5, {}), (Interval{1, 1}));
  EXPECT_EQ(BootstrapDifference(0, 5, 5, {}), (Interval{-1, -1}));
  // Two shares of 1/2 that never differ are known to be equal; two that were
  // drawn apart are not.
  const Interval paired = BootstrapDifference(1, 1, 500, {});
  const Interval one = BootstrapShare(250, 500, {});
  EXPECT_LT(paired.high - paired.low, (one.high - one.low) / 4);
}

// A share as a statistic of rows.
double MeanOf(const std::vector<double>& values,
              absl::Span<const int64_t> rows) {
  double sum = 0;
  for (const int64_t row : rows) sum += values[static_cast<size_t>(row)];
  return sum / static_cast<double>(rows.size());
}

TEST(BootstrapStatisticTest, OfAMeanAgreesWithTheShare) {
  std::vector<double> values(400, 0);
  std::fill_n(values.begin(), 150, 1);
  const Interval interval = BootstrapStatistic(
      {400},
      [&](absl::Span<const int64_t> rows) { return MeanOf(values, rows); }, {});
  const Interval share = BootstrapShare(150, 400, {});
  const double error = 7 * 0.06 * std::sqrt(0.375 * 0.625 / 400);
  EXPECT_NEAR(interval.low, share.low, error);
  EXPECT_NEAR(interval.high, share.high, error);
}

TEST(BootstrapStatisticTest, DrawsEveryStratumFromItself) {
  int calls = 0;
  BootstrapStatistic({3, 1, 6},
                     [&](absl::Span<const int64_t> rows) {
                       ++calls;
                       EXPECT_EQ(rows.size(), 10);
                       for (int i = 0; i < 10; ++i) {
                         EXPECT_GE(rows[i], i < 3 ? 0 : i < 4 ? 3 : 4);
                         EXPECT_LT(rows[i], i < 3 ? 3 : i < 4 ? 4 : 10);
                       }
                       return 0.0;
                     },
                     {.resamples = 50});
  EXPECT_EQ(calls, 50);
}

TEST(BootstrapStatisticTest, OfAGapAgreesWithNumPy) {
  for (const auto& row : Golden()["skew"]) {
    const auto candidates = row["candidates"].get<size_t>();
    std::vector<int64_t> sizes;
    std::vector<size_t> assigned;
    for (const auto& group : row["groups"]) {
      sizes.push_back(static_cast<int64_t>(group.size()));
      for (const auto& candidate : group) assigned.push_back(candidate);
    }
    const auto gap = [&](absl::Span<const int64_t> rows) {
      std::vector<double> least(candidates, 1), most(candidates, 0);
      size_t at = 0;
      for (const int64_t size : sizes) {
        std::vector<double> share(candidates, 0);
        for (int64_t i = 0; i < size; ++i) {
          share[assigned[static_cast<size_t>(rows[at++])]] +=
              1 / static_cast<double>(size);
        }
        for (size_t c = 0; c < candidates; ++c) {
          least[c] = std::min(least[c], share[c]);
          most[c] = std::max(most[c], share[c]);
        }
      }
      double widest = 0;
      for (size_t c = 0; c < candidates; ++c) {
        widest = std::max(widest, most[c] - least[c]);
      }
      return widest;
    };
    std::vector<int64_t> identity(assigned.size());
    std::iota(identity.begin(), identity.end(), 0);
    EXPECT_NEAR(gap(identity), row["gap"].get<double>(), 1e-12);
    ExpectNear(BootstrapStatistic(sizes, gap, {}), row["gap_interval"], 0);
  }
}

}  // namespace
}  // namespace attune::statistics
