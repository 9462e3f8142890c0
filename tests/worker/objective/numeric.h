// Plain double-precision arithmetic that the objectives are compared with:
// loops over std::vector, written from the formulas and not from the code.

#ifndef ATTUNE_TESTS_WORKER_OBJECTIVE_NUMERIC_H_
#define ATTUNE_TESTS_WORKER_OBJECTIVE_NUMERIC_H_

#include <torch/types.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace attune::objective {

using Matrix = std::vector<std::vector<double>>;

inline Matrix RandomMatrix(int rows, int columns, double scale, int seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal(0, scale);
  Matrix matrix(rows, std::vector<double>(columns));
  for (auto& row : matrix) {
    for (double& value : row) value = normal(generator);
  }
  return matrix;
}

inline at::Tensor ToTensor(const Matrix& matrix) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(matrix.size()),
                                 static_cast<int64_t>(matrix[0].size())},
                                at::kDouble);
  double* out = tensor.data_ptr<double>();
  for (const auto& row : matrix) {
    for (double value : row) *out++ = value;
  }
  return tensor;
}

// log Σ exp of a row.
inline double LogSum(const std::vector<double>& row) {
  double sum = 0;
  for (double value : row) sum += std::exp(value);
  return std::log(sum);
}

// ∂f/∂matrix by central differences.
inline Matrix FiniteDifferences(
    const std::function<double(const Matrix&)>& function, Matrix matrix) {
  constexpr double kStep = 1e-5;
  Matrix gradient = matrix;
  for (size_t i = 0; i < matrix.size(); ++i) {
    for (size_t j = 0; j < matrix[i].size(); ++j) {
      const double value = matrix[i][j];
      matrix[i][j] = value + kStep;
      const double above = function(matrix);
      matrix[i][j] = value - kStep;
      const double below = function(matrix);
      matrix[i][j] = value;
      gradient[i][j] = (above - below) / (2 * kStep);
    }
  }
  return gradient;
}

inline double MaxDifference(const at::Tensor& tensor, const Matrix& matrix) {
  return (tensor - ToTensor(matrix)).abs().max().item<double>();
}

}  // namespace attune::objective

#endif  // ATTUNE_TESTS_WORKER_OBJECTIVE_NUMERIC_H_
