// Beta moving average (BMA) of the weights over a whole run (arXiv 2411.08923;
// the weights are those of arXiv 2306.03241).
//
// With T steps and a_k = pdf of Beta(0.7, 0.7) at (k + 0.5)/(T + 1), k = 0 … T,
// where k = 0 is the initial model:
//
//     avg ← (avg + r θ_k) / (1 + r),   r = a_k / Σ_{j<k} a_j

#ifndef ATTUNE_WORKER_TRAIN_BETA_AVERAGE_H_
#define ATTUNE_WORKER_TRAIN_BETA_AVERAGE_H_

#include <cstdint>

namespace attune::train {

class BetaAverage {
 public:
  // After k = 0: the average is the initial model.
  explicit BetaAverage(int64_t total_steps);

  // The share r / (1 + r) with which θ_k of the next k enters:
  // avg ← avg + share · (θ_k − avg). Call once a step.
  double NextShare();

  // As after `step` steps; costs O(step).
  void Seek(int64_t step);

 private:
  // a_k up to a constant factor, which r does not see.
  double Weight(int64_t k) const;

  int64_t total_steps_;
  int64_t next_ = 1;
  // Σ_{j < next_} a_j.
  double sum_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_BETA_AVERAGE_H_
