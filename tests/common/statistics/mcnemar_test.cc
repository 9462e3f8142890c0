#include "common/statistics/mcnemar.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/common/statistics/golden.h"

namespace attune::statistics {
namespace {

// Σ of the two tails, term by term, in double precision.
double BothTails(int first, int second) {
  const int count = first + second;
  double p = 0;
  for (int k = 0; k <= count; ++k) {
    if (std::abs(2 * k - count) < std::abs(first - second)) continue;
    double term = 1;
    for (int i = 1; i <= count; ++i) {
      term *= i <= k ? (count - k + i) / (2.0 * i) : 0.5;
    }
    p += term;
  }
  return p;
}

TEST(McNemarExactTest, EqualsSciPysBinomialTest) {
  for (const auto& row : Golden()["mcnemar"]) {
    const double expected = row["p"].get<double>();
    EXPECT_NEAR(McNemarExact(row["only_first"], row["only_second"]), expected,
                1e-7 * expected)
        << row;
  }
}

TEST(McNemarExactTest, EqualsTheSumOfBothTailsForAllSmallCounts) {
  for (int first = 0; first <= 12; ++first) {
    for (int second = 0; second <= 12; ++second) {
      EXPECT_NEAR(McNemarExact(first, second), BothTails(first, second), 1e-12)
          << first << " against " << second;
    }
  }
}

TEST(McNemarExactTest, IsSymmetricAndOneWithoutADifference) {
  EXPECT_EQ(McNemarExact(0, 0), 1);
  EXPECT_EQ(McNemarExact(7, 7), 1);
  EXPECT_EQ(McNemarExact(3, 17), McNemarExact(17, 3));
  EXPECT_EQ(McNemarExact(1, 0), 1);
}

}  // namespace
}  // namespace attune::statistics
