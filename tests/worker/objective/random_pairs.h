// Random pairs that the objectives are compared on with their formulas, written
// out in plain double arithmetic.

#ifndef ATTUNE_TESTS_WORKER_OBJECTIVE_RANDOM_PAIRS_H_
#define ATTUNE_TESTS_WORKER_OBJECTIVE_RANDOM_PAIRS_H_

#include <functional>
#include <vector>

#include "gtest/gtest.h"
#include "tests/worker/objective/numeric.h"
#include "worker/objective/objective.h"

namespace attune::objective {

inline const std::vector<int64_t> kPreferred = {0, 3, 6, 2, 2};
inline const std::vector<int64_t> kRejected = {1, 0, 5, 4, 6};
inline constexpr int kPairs = 5;
inline constexpr int kTexts = 7;
// What stands for z.
inline constexpr double kCleanKl = 0.3;

// A pair by the definitions, normalisers and all.
struct PlainPair {
  double log_preferred, a, b, h;
};

inline PlainPair Plain(const std::vector<double>& logits,
                       const std::vector<double>& reference, int pair) {
  const auto log_policy = [](const std::vector<double>& row, int64_t text) {
    return row[text] - LogSum(row);
  };
  const int64_t w = kPreferred[pair], l = kRejected[pair];
  const double a = log_policy(logits, w) - log_policy(reference, w);
  const double b = log_policy(logits, l) - log_policy(reference, l);
  return {log_policy(logits, w), a, b, a - b};
}

inline PairObjective MakePairObjective(const std::string& name,
                                       const ObjectiveValues& options) {
  return std::get<PairObjective>(MakeObjective(name, options).value());
}

inline PairTerms Terms(const at::Tensor& logits, const at::Tensor& reference) {
  PairTerms terms =
      MakePairTerms(logits, reference, at::tensor(kPreferred, at::kLong),
                    at::tensor(kRejected, at::kLong));
  terms.z = at::scalar_tensor(kCleanKl, logits.options());
  return terms;
}

// Loss and gradient of random pairs equal `formula`, meant over them, in
// double precision.
inline void ExpectFormula(
    const PairObjective& objective,
    const std::function<double(const PlainPair&)>& formula) {
  const Matrix logits = RandomMatrix(kPairs, kTexts, 3, 1);
  const Matrix reference = RandomMatrix(kPairs, kTexts, 3, 2);
  const auto mean = [&](const Matrix& at) {
    double sum = 0;
    for (int pair = 0; pair < kPairs; ++pair) {
      sum += formula(Plain(at[pair], reference[pair], pair));
    }
    return sum / kPairs;
  };
  at::Tensor policy = ToTensor(logits).set_requires_grad(true);
  const at::Tensor loss =
      objective.loss(Terms(policy, ToTensor(reference))).mean();
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), mean(logits), 1e-12);
  EXPECT_LT(MaxDifference(policy.grad(), FiniteDifferences(mean, logits)),
            1e-8);
}

// The loss of one pair with this margin, and its derivative in the margin.
inline std::pair<double, double> AtMargin(const PairObjective& objective,
                                          double margin) {
  at::Tensor logits = at::tensor({margin, 0.0}, at::kDouble)
                          .reshape({1, 2})
                          .set_requires_grad(true);
  const at::Tensor zero = at::zeros({1}, at::kLong);
  const at::Tensor loss =
      objective
          .loss(MakePairTerms(logits, at::zeros({1, 2}, at::kDouble), zero,
                              zero + 1))
          .sum();
  loss.backward();
  return {loss.item<double>(), logits.grad()[0][0].item<double>()};
}

}  // namespace attune::objective

#endif  // ATTUNE_TESTS_WORKER_OBJECTIVE_RANDOM_PAIRS_H_
