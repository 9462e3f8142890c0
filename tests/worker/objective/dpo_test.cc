#include "worker/objective/dpo.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/worker/objective/numeric.h"

namespace attune::objective {
namespace {

constexpr int kPairs = 5;
constexpr int kTexts = 7;
const std::vector<int64_t> kPreferred = {0, 3, 6, 2, 2};
const std::vector<int64_t> kRejected = {1, 0, 5, 4, 6};

at::Tensor Indices(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

// log π(y|x) from the definition, normaliser and all.
double LogPolicy(const std::vector<double>& logits, int64_t text) {
  return logits[text] - LogSum(logits);
}

double Margin(const std::vector<double>& logits,
              const std::vector<double>& reference, int pair) {
  const double a = LogPolicy(logits, kPreferred[pair]) -
                   LogPolicy(reference, kPreferred[pair]);
  const double b = LogPolicy(logits, kRejected[pair]) -
                   LogPolicy(reference, kRejected[pair]);
  return a - b;
}

double LogSigmoid(double x) { return -std::log1p(std::exp(-x)); }

double PlainLoss(const Matrix& logits, const Matrix& reference, double beta,
                 double smoothing) {
  double sum = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    const double h = Margin(logits[pair], reference[pair], pair);
    sum += -(1 - smoothing) * LogSigmoid(beta * h) -
           smoothing * LogSigmoid(-beta * h);
  }
  return sum / kPairs;
}

DpoTerms Terms(const at::Tensor& logits, const at::Tensor& reference,
               const DpoOptions& options) {
  return Dpo(logits, reference, Indices(kPreferred), Indices(kRejected),
             options);
}

struct Case {
  double beta;
  double smoothing;
};

class DpoFormula : public testing::TestWithParam<Case> {};

TEST_P(DpoFormula, LossAndGradientEqualTheFormulaInDouble) {
  const auto [beta, smoothing] = GetParam();
  const Matrix logits = RandomMatrix(kPairs, kTexts, 3, 1);
  const Matrix reference = RandomMatrix(kPairs, kTexts, 3, 2);
  at::Tensor policy = ToTensor(logits).set_requires_grad(true);
  const at::Tensor loss =
      Terms(policy, ToTensor(reference), {beta, smoothing}).loss.mean();
  loss.backward();

  EXPECT_NEAR(loss.item<double>(),
              PlainLoss(logits, reference, beta, smoothing), 1e-12);
  const Matrix gradient = FiniteDifferences(
      [&](const Matrix& at) {
        return PlainLoss(at, reference, beta, smoothing);
      },
      logits);
  EXPECT_LT(MaxDifference(policy.grad(), gradient), 1e-8);
}

INSTANTIATE_TEST_SUITE_P(Options, DpoFormula,
                         testing::Values(Case{1, 0}, Case{0.1, 0}, Case{1, 0.1},
                                         Case{3, 0.4}));

TEST(Dpo, LogRatiosAndMarginEqualTheirDefinition) {
  const Matrix logits = RandomMatrix(kPairs, kTexts, 3, 3);
  const Matrix reference = RandomMatrix(kPairs, kTexts, 3, 4);
  const DpoTerms terms = Terms(ToTensor(logits), ToTensor(reference), {});
  for (int pair = 0; pair < kPairs; ++pair) {
    const double a = LogPolicy(logits[pair], kPreferred[pair]) -
                     LogPolicy(reference[pair], kPreferred[pair]);
    const double b = LogPolicy(logits[pair], kRejected[pair]) -
                     LogPolicy(reference[pair], kRejected[pair]);
    EXPECT_NEAR(terms.preferred_log_ratio[pair].item<double>(), a, 1e-12);
    EXPECT_NEAR(terms.rejected_log_ratio[pair].item<double>(), b, 1e-12);
    EXPECT_NEAR(terms.margin[pair].item<double>(), a - b, 1e-12);
    EXPECT_EQ(terms.correct[pair].item<double>(),
              logits[pair][kPreferred[pair]] > logits[pair][kRejected[pair]]);
  }
}

TEST(Dpo, LossAndMarginDoNotDependOnTheOtherTexts) {
  Matrix logits = RandomMatrix(kPairs, kTexts, 3, 5);
  Matrix reference = RandomMatrix(kPairs, kTexts, 3, 6);
  const DpoTerms all = Terms(ToTensor(logits), ToTensor(reference), {1, 0.1});
  for (auto* matrix : {&logits, &reference}) {
    for (auto& row : *matrix) row.push_back(50);
  }
  const DpoTerms longer =
      Terms(ToTensor(logits), ToTensor(reference), {1, 0.1});
  EXPECT_TRUE(at::equal(all.loss, longer.loss));
  EXPECT_TRUE(at::equal(all.margin, longer.margin));
  EXPECT_FALSE(
      at::allclose(all.preferred_log_ratio, longer.preferred_log_ratio));
}

TEST(Dpo, LabelSmoothingMovesTheMinimumToItsClosedForm) {
  for (const double smoothing : {0.01, 0.1, 0.3}) {
    for (const double beta : {0.5, 1.0, 2.0}) {
      const double minimum = std::log((1 - smoothing) / smoothing) / beta;
      at::Tensor logits = at::tensor({minimum, 0.0}, at::kDouble)
                              .reshape({1, 2})
                              .set_requires_grad(true);
      const at::Tensor zero = at::zeros({1}, at::kLong);
      Dpo(logits, at::zeros({1, 2}, at::kDouble), zero, zero + 1,
          {beta, smoothing})
          .loss.sum()
          .backward();
      EXPECT_LT(logits.grad().abs().max().item<double>(), 1e-12);
    }
  }
}

TEST(Dpo, FarFromTheBoundaryTheLossStaysFinite) {
  const at::Tensor logits = at::tensor({-1e4f, 1e4f}).reshape({1, 2});
  const at::Tensor zero = at::zeros({1}, at::kLong);
  const DpoTerms terms = Dpo(logits, at::zeros({1, 2}), zero, zero + 1, {});
  EXPECT_FLOAT_EQ(terms.loss.item<float>(), 2e4f);
}

}  // namespace
}  // namespace attune::objective
