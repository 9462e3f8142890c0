#include <cmath>

#include "gtest/gtest.h"
#include "tests/worker/objective/random_pairs.h"

namespace attune::objective {
namespace {

PairObjective Make(double beta, double smoothing) {
  return MakePairObjective("dpo",
                           {{"beta", beta}, {"label_smoothing", smoothing}});
}

double LogSigmoid(double x) { return -std::log1p(std::exp(-x)); }

struct Case {
  double beta;
  double smoothing;
};

class DpoFormula : public testing::TestWithParam<Case> {};

TEST_P(DpoFormula, LossAndGradientEqualItInDouble) {
  const auto [beta, smoothing] = GetParam();
  ExpectFormula(Make(beta, smoothing), [=](const PlainPair& pair) {
    return -(1 - smoothing) * LogSigmoid(beta * pair.h) -
           smoothing * LogSigmoid(-beta * pair.h);
  });
}

INSTANTIATE_TEST_SUITE_P(Options, DpoFormula,
                         testing::Values(Case{1, 0}, Case{0.1, 0}, Case{1, 0.1},
                                         Case{3, 0.4}));

TEST(Dpo, LabelSmoothingMovesTheMinimumToItsClosedForm) {
  for (const double smoothing : {0.01, 0.1, 0.3}) {
    for (const double beta : {0.5, 1.0, 2.0}) {
      const double minimum = std::log((1 - smoothing) / smoothing) / beta;
      const auto [loss, slope] = AtMargin(Make(beta, smoothing), minimum);
      EXPECT_LT(std::abs(slope), 1e-12);
      EXPECT_GT(AtMargin(Make(beta, smoothing), minimum + 0.1).first, loss);
      EXPECT_GT(AtMargin(Make(beta, smoothing), minimum - 0.1).first, loss);
    }
  }
}

TEST(Dpo, FarFromTheBoundaryTheLossStaysFinite) {
  EXPECT_DOUBLE_EQ(AtMargin(Make(1, 0), -2e4).first, 2e4);
}

}  // namespace
}  // namespace attune::objective
