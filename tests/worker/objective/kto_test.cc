#include <cmath>

#include "gtest/gtest.h"
#include "tests/worker/objective/random_pairs.h"

namespace attune::objective {
namespace {

PairObjective Make(double beta, double desirable, double undesirable) {
  return MakePairObjective("kto", {{"beta", beta},
                                   {"desirable_weight", desirable},
                                   {"undesirable_weight", undesirable}});
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Case {
  double beta, desirable, undesirable;
};

class KtoFormula : public testing::TestWithParam<Case> {};

TEST_P(KtoFormula, LossAndGradientEqualItInDouble) {
  const auto [beta, desirable, undesirable] = GetParam();
  ExpectFormula(Make(beta, desirable, undesirable), [=](const PlainPair& pair) {
    // The mean over the pair's two terms.
    return (desirable * (1 - Sigmoid(beta * (pair.a - kCleanKl))) +
            undesirable * (1 - Sigmoid(beta * (kCleanKl - pair.b)))) /
           2;
  });
}

INSTANTIATE_TEST_SUITE_P(Options, KtoFormula,
                         testing::Values(Case{1.5, 1, 1}, Case{0.2, 1, 0},
                                         Case{1, 0, 1}, Case{3, 1.3, 0.7}));

TEST(Kto, GivesZNoGradient) {
  PairTerms terms = Terms(ToTensor(RandomMatrix(kPairs, kTexts, 3, 1)),
                          ToTensor(RandomMatrix(kPairs, kTexts, 3, 2)));
  const PairObjective kto = Make(1, 1, 1);
  EXPECT_TRUE(kto.uses_clean_kl);
  EXPECT_FALSE(kto.loss(terms).requires_grad());
}

TEST(Kto, IsBoundedHoweverFarThePolicyMoves) {
  Matrix logits = RandomMatrix(kPairs, kTexts, 1e4, 1);
  const at::Tensor loss = Make(2, 1, 1).loss(
      Terms(ToTensor(logits), ToTensor(RandomMatrix(kPairs, kTexts, 3, 2))));
  EXPECT_GE(loss.min().item<double>(), 0);
  EXPECT_LE(loss.max().item<double>(), 1);
}

}  // namespace
}  // namespace attune::objective
