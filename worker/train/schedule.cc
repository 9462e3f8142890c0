#include "worker/train/schedule.h"

#include <cmath>
#include <numbers>

namespace attune::train {

double LearningRate(const Schedule& schedule, int64_t step,
                    int64_t total_steps) {
  const int64_t warmup_steps =
      std::llround(schedule.warmup_ratio * static_cast<double>(total_steps));
  if (step < warmup_steps) {
    return schedule.learning_rate * static_cast<double>(step + 1) /
           static_cast<double>(warmup_steps);
  }
  if (schedule.kind == Schedule::Kind::kConstant) {
    return schedule.learning_rate;
  }
  const double x = static_cast<double>(step - warmup_steps) /
                   static_cast<double>(total_steps - warmup_steps);
  return schedule.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * x));
}

}  // namespace attune::train
