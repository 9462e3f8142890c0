#include "worker/train/beta_average.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace attune::train {
namespace {

// The density itself, with its normalising constant.
double BetaPdf(double x) {
  constexpr double kA = 0.7, kB = 0.7;
  const double log_beta =
      std::lgamma(kA) + std::lgamma(kB) - std::lgamma(kA + kB);
  return std::exp((kA - 1) * std::log(x) + (kB - 1) * std::log1p(-x) -
                  log_beta);
}

double Iterate(int k) { return std::sin(1.7 * k) + 0.1 * k; }

TEST(BetaAverage, EqualsTheWeightedMeanOverAllIterates) {
  for (const int total : {1, 2, 10, 96}) {
    BetaAverage average(total);
    double running = Iterate(0);
    for (int k = 1; k <= total; ++k) {
      running += average.NextShare() * (Iterate(k) - running);
    }
    double sum = 0, weights = 0;
    for (int k = 0; k <= total; ++k) {
      const double weight = BetaPdf((k + 0.5) / (total + 1));
      sum += weight * Iterate(k);
      weights += weight;
    }
    EXPECT_NEAR(running, sum / weights, 1e-12) << total << " steps";
  }
}

TEST(BetaAverage, SeekGivesTheSameBitsAsStepping) {
  BetaAverage stepped(40), sought(40);
  for (int k = 0; k < 17; ++k) stepped.NextShare();
  sought.Seek(17);
  EXPECT_EQ(stepped.NextShare(), sought.NextShare());
}

}  // namespace
}  // namespace attune::train
