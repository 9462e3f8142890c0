#include "worker/objective/pair_terms.h"

#include "gtest/gtest.h"
#include "tests/worker/objective/random_pairs.h"

namespace attune::objective {
namespace {

TEST(PairTerms, EqualTheirDefinitions) {
  const Matrix logits = RandomMatrix(kPairs, kTexts, 3, 3);
  const Matrix reference = RandomMatrix(kPairs, kTexts, 3, 4);
  const PairTerms terms = Terms(ToTensor(logits), ToTensor(reference));
  for (int pair = 0; pair < kPairs; ++pair) {
    const PlainPair plain = Plain(logits[pair], reference[pair], pair);
    EXPECT_NEAR(terms.log_preferred[pair].item<double>(), plain.log_preferred,
                1e-12);
    EXPECT_NEAR(terms.a[pair].item<double>(), plain.a, 1e-12);
    EXPECT_NEAR(terms.b[pair].item<double>(), plain.b, 1e-12);
    EXPECT_NEAR(terms.h[pair].item<double>(), plain.h, 1e-12);
    EXPECT_EQ(terms.correct[pair].item<double>(),
              logits[pair][kPreferred[pair]] > logits[pair][kRejected[pair]]);
  }
}

TEST(PairTerms, MarginDoesNotDependOnTheOtherTexts) {
  Matrix logits = RandomMatrix(kPairs, kTexts, 3, 5);
  Matrix reference = RandomMatrix(kPairs, kTexts, 3, 6);
  const PairTerms all = Terms(ToTensor(logits), ToTensor(reference));
  for (auto* matrix : {&logits, &reference}) {
    for (auto& row : *matrix) row.push_back(50);
  }
  const PairTerms longer = Terms(ToTensor(logits), ToTensor(reference));
  EXPECT_TRUE(at::equal(all.h, longer.h));
  EXPECT_TRUE(at::equal(all.correct, longer.correct));
  EXPECT_FALSE(at::allclose(all.a, longer.a));
}

TEST(PairTerms, WithoutAReferenceThereAreNoRatios) {
  const Matrix logits = RandomMatrix(kPairs, kTexts, 3, 7);
  const PairTerms terms = Terms(ToTensor(logits), at::Tensor());
  EXPECT_TRUE(terms.log_preferred.defined());
  EXPECT_TRUE(terms.correct.defined());
  EXPECT_FALSE(terms.a.defined() || terms.b.defined() || terms.h.defined());
}

}  // namespace
}  // namespace attune::objective
