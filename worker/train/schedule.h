// The learning rate as a function of the step.

#ifndef ATTUNE_WORKER_TRAIN_SCHEDULE_H_
#define ATTUNE_WORKER_TRAIN_SCHEDULE_H_

#include <cstdint>

namespace attune::train {

struct Schedule {
  enum class Kind {
    // ½ (1 + cos(π x)) of the peak, x from 0 to 1 over the steps after the
    // warm-up, as torch's CosineAnnealingLR with T_max = those steps.
    kCosine,
    kConstant,
  };
  Kind kind = Kind::kCosine;
  // The peak, > 0.
  double learning_rate = 2e-5;
  // Share of the steps, rounded, that rise linearly to the peak; in [0, 1).
  double warmup_ratio = 0;
};

// The rate of step `step` in [0, total_steps).
double LearningRate(const Schedule& schedule, int64_t step,
                    int64_t total_steps);

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_SCHEDULE_H_
