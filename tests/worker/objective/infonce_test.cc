#include <cmath>

#include "gtest/gtest.h"
#include "tests/worker/objective/numeric.h"
#include "worker/objective/objective.h"

namespace attune::objective {
namespace {

double PlainLoss(const Matrix& logits, const Matrix& positives) {
  const size_t count = logits.size();
  double rows = 0, columns = 0;
  for (size_t i = 0; i < count; ++i) {
    double row_sum = 0, row_positives = 0, column_sum = 0, column_positives = 0;
    for (size_t j = 0; j < count; ++j) {
      row_sum += std::exp(logits[i][j]);
      row_positives += positives[i][j];
      column_sum += std::exp(logits[j][i]);
      column_positives += positives[j][i];
    }
    for (size_t j = 0; j < count; ++j) {
      rows -=
          positives[i][j] / row_positives * (logits[i][j] - std::log(row_sum));
      columns -= positives[j][i] / column_positives *
                 (logits[j][i] - std::log(column_sum));
    }
  }
  return 0.5 * (rows + columns) / static_cast<double>(count);
}

void ExpectFormula(const Matrix& logits, const Matrix& positives) {
  at::Tensor policy = ToTensor(logits).set_requires_grad(true);
  const auto objective =
      std::get<CaptionObjective>(MakeObjective("infonce", {}).value());
  const at::Tensor loss = objective.loss(policy, ToTensor(positives));
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), PlainLoss(logits, positives), 1e-12);
  const Matrix gradient = FiniteDifferences(
      [&](const Matrix& at) { return PlainLoss(at, positives); }, logits);
  EXPECT_LT(MaxDifference(policy.grad(), gradient), 1e-8);
}

TEST(InfoNce, EqualsTheFormulaInDoubleWithOnePositiveARow) {
  ExpectFormula(RandomMatrix(4, 4, 2, 1),
                {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}});
}

TEST(InfoNce, EqualsTheFormulaInDoubleWithSeveralPositivesARow) {
  ExpectFormula(RandomMatrix(4, 4, 2, 2),
                {{1, 0, 1, 1}, {0, 1, 0, 0}, {0, 0, 1, 1}, {1, 0, 0, 1}});
}

}  // namespace
}  // namespace attune::objective
