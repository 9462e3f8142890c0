// The arithmetic of one optimizer step over a run of parameters, in one pass:
// moments, weights, average and Σ g² while each value is in a register. Ten
// stock operators would read and write the same memory ten times.
//
// SIMD by Highway: the instruction set is chosen when the program runs, and
// results are a function of the input and that set.

#ifndef ATTUNE_WORKER_TRAIN_OPTIMIZER_PASS_H_
#define ATTUNE_WORKER_TRAIN_OPTIMIZER_PASS_H_

#include <cstddef>

namespace attune::train {

// θ, g, first and second moment and the average of `count` parameters. No two
// overlap; any alignment.
struct ParameterRun {
  float* weights;
  const float* gradients;
  float* first_moment;
  float* second_moment;
  // avg ← avg + average_share · (θ − avg) after the update; null for none.
  float* average;
  float average_share;
  size_t count;
};

// Adamax (arXiv 1412.6980 section 7.1) as torch.optim.Adamax computes it:
//     g ← g + weight_decay · θ
//     m ← β1 m + (1 − β1) g        u ← max(β2 u, |g| + ε)
//     θ ← θ − step_size · m / u    step_size = lr / (1 − β1^t)
struct AdamaxFactors {
  double beta1;
  double beta2;
  double epsilon;
  double weight_decay;
  double step_size;
};

// AdamW (arXiv 1711.05101) as torch.optim.AdamW computes it:
//     θ ← kept · θ                 kept = 1 − lr · weight_decay
//     m ← β1 m + (1 − β1) g        v ← β2 v + (1 − β2) g²
//     θ ← θ − step_size · m / (√v · v_scale + ε)
//     step_size = lr / (1 − β1^t)  v_scale = 1 / √(1 − β2^t)
struct AdamwFactors {
  double beta1;
  double beta2;
  double epsilon;
  double kept;
  double step_size;
  double v_scale;
};

// Both return Σ g² of the run's gradients, before any weight decay. Summed in
// fp32: keep runs to some thousands.
float AdamaxPass(const AdamaxFactors& factors, const ParameterRun& run);
float AdamwPass(const AdamwFactors& factors, const ParameterRun& run);

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_OPTIMIZER_PASS_H_
