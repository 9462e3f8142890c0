#include "worker/objective/kl.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/worker/objective/numeric.h"
#include "worker/objective/similarity.h"

namespace attune::objective {
namespace {

// Mean over rows of KL(reference ‖ policy).
double PlainKl(const Matrix& logits, const Matrix& reference) {
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    for (size_t j = 0; j < logits[i].size(); ++j) {
      const double log_p = reference[i][j] - LogSum(reference[i]);
      const double log_q = logits[i][j] - LogSum(logits[i]);
      sum += std::exp(log_p) * (log_p - log_q);
    }
  }
  return sum / static_cast<double>(logits.size());
}

TEST(Kl, ValueAndGradientEqualTheFormulaInDouble) {
  const Matrix logits = RandomMatrix(4, 6, 2, 1);
  const Matrix reference = RandomMatrix(4, 6, 2, 2);
  at::Tensor policy = ToTensor(logits).set_requires_grad(true);
  const at::Tensor kl = Kl(policy, ToTensor(reference)).mean();
  kl.backward();
  EXPECT_NEAR(kl.item<double>(), PlainKl(logits, reference), 1e-12);
  EXPECT_LT(MaxDifference(policy.grad(), FiniteDifferences(
                                             [&](const Matrix& at) {
                                               return PlainKl(at, reference);
                                             },
                                             logits)),
            1e-8);
}

TEST(Kl, IsZeroWithoutGradientAtTheReference) {
  at::Tensor logits =
      ToTensor(RandomMatrix(3, 5, 10, 3)).set_requires_grad(true);
  const at::Tensor kl = Kl(logits, logits.detach());
  kl.sum().backward();
  EXPECT_TRUE(at::equal(kl, at::zeros({3}, at::kDouble)));
  EXPECT_LT(logits.grad().abs().max().item<double>(), 1e-15);
}

TEST(Similarity, LogitsEqualTheDotProductTimesTheScale) {
  const Matrix images = RandomMatrix(3, 4, 1, 4);
  const Matrix texts = RandomMatrix(2, 4, 1, 5);
  const double scale = 17.5;
  const at::Tensor logits = Logits(ToTensor(images), ToTensor(texts),
                                   at::scalar_tensor(scale, at::kDouble));
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 2; ++j) {
      double dot = 0;
      for (int k = 0; k < 4; ++k) dot += images[i][k] * texts[j][k];
      EXPECT_NEAR(logits[i][j].item<double>(), scale * dot, 1e-12);
    }
  }
}

}  // namespace
}  // namespace attune::objective
