#include "common/statistics/mcnemar.h"

#include <algorithm>
#include <cmath>

namespace attune::statistics {

double McNemarExact(int64_t only_first, int64_t only_second) {
  const int64_t count = only_first + only_second;
  const int64_t smaller = std::min(only_first, only_second);
  if (only_first == only_second) return 1;
  // Σ C(n, k) for k ≤ smaller, as a multiple of its largest term, the last;
  // the terms before it shrink by k / (n − k + 1).
  double sum = 0;
  double term = 1;
  for (int64_t k = smaller; k >= 0 && term > sum * 1e-18; --k) {
    sum += term;
    term *= static_cast<double>(k) / static_cast<double>(count - k + 1);
  }
  const double n = static_cast<double>(count);
  const double k = static_cast<double>(smaller);
  const double log_largest = std::lgamma(n + 1) - std::lgamma(k + 1) -
                             std::lgamma(n - k + 1) - n * std::log(2.0);
  return std::min(1.0, 2 * sum * std::exp(log_largest));
}

}  // namespace attune::statistics
