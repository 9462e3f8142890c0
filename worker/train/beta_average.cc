#include "worker/train/beta_average.h"

#include <cmath>

namespace attune::train {

BetaAverage::BetaAverage(int64_t total_steps)
    : total_steps_(total_steps), sum_(Weight(0)) {}

double BetaAverage::Weight(int64_t k) const {
  constexpr double kBeta = 0.7;
  const double x =
      (static_cast<double>(k) + 0.5) / (static_cast<double>(total_steps_) + 1);
  return std::pow(x * (1 - x), kBeta - 1);
}

double BetaAverage::NextShare() {
  const double weight = Weight(next_++);
  sum_ += weight;
  return weight / sum_;
}

void BetaAverage::Seek(int64_t step) {
  next_ = 1;
  sum_ = Weight(0);
  while (next_ <= step) NextShare();
}

}  // namespace attune::train
