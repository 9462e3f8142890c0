#include "gtest/gtest.h"
#include "tests/worker/objective/random_pairs.h"

namespace attune::objective {
namespace {

class IpoFormula : public testing::TestWithParam<double> {};

TEST_P(IpoFormula, LossAndGradientEqualItInDouble) {
  const double beta = GetParam();
  ExpectFormula(MakePairObjective("ipo", {{"beta", beta}}),
                [=](const PlainPair& pair) {
                  const double gap = pair.h - 1 / (2 * beta);
                  return gap * gap;
                });
}

INSTANTIATE_TEST_SUITE_P(Betas, IpoFormula, testing::Values(0.1, 0.5, 2.0));

TEST(Ipo, TheMinimumIsAtTheTargetMargin) {
  for (const double beta : {0.01, 0.1, 1.0}) {
    const PairObjective ipo = MakePairObjective("ipo", {{"beta", beta}});
    const auto [loss, slope] = AtMargin(ipo, 1 / (2 * beta));
    EXPECT_EQ(loss, 0);
    EXPECT_EQ(slope, 0);
    EXPECT_GT(AtMargin(ipo, 0).second * -1, 0);
  }
}

}  // namespace
}  // namespace attune::objective
