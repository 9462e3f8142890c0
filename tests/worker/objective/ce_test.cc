#include "gtest/gtest.h"
#include "tests/worker/objective/random_pairs.h"

namespace attune::objective {
namespace {

TEST(Ce, LossAndGradientEqualTheFormulaInDouble) {
  ExpectFormula(MakePairObjective("ce", {}),
                [](const PlainPair& pair) { return -pair.log_preferred; });
}

TEST(Ce, UsesNeitherReferenceNorCleanImages) {
  const PairObjective ce = MakePairObjective("ce", {});
  EXPECT_FALSE(ce.uses_reference);
  EXPECT_FALSE(ce.uses_clean_kl);
  EXPECT_TRUE(ce.over_candidates);
  const Matrix logits = RandomMatrix(kPairs, kTexts, 3, 1);
  const at::Tensor loss = ce.loss(MakePairTerms(
      ToTensor(logits), at::Tensor(), at::tensor(kPreferred, at::kLong),
      at::tensor(kRejected, at::kLong)));
  EXPECT_NEAR(loss[1].item<double>(),
              LogSum(logits[1]) - logits[1][kPreferred[1]], 1e-12);
}

}  // namespace
}  // namespace attune::objective
