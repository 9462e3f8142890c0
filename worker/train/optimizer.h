// Adamax and AdamW over flat parameters.

#ifndef ATTUNE_WORKER_TRAIN_OPTIMIZER_H_
#define ATTUNE_WORKER_TRAIN_OPTIMIZER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/train/flat_parameters.h"

namespace attune::train {

struct OptimizerOptions {
  enum class Kind { kAdamax, kAdamw };
  Kind kind = Kind::kAdamax;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  // ≥ 0. Adamax adds it to the gradient, AdamW decouples it, as torch.optim
  // does.
  double weight_decay = 0;

  // The published settings: Adamax of preference training, AdamW of
  // pre-training.
  static OptimizerOptions Adamax(double weight_decay = 0);
  static OptimizerOptions Adamw(double weight_decay = 0.05);
};

// One optimizer step's inputs that change from step to step.
struct OptimizerStep {
  // From 1, for the bias corrections.
  int64_t number;
  double learning_rate;
  // A buffer of the parameters' layout that moves towards the new weights:
  // avg ← avg + average_share (θ − avg). Undefined for none.
  at::Tensor average;
  double average_share = 0;
};

// Holds the moments. Not thread-safe.
class Optimizer {
 public:
  // How the arithmetic is done; the results are equal up to rounding.
  enum class Path {
    // One fused pass where the parameters are on the CPU, or on a GPU and the
    // build has kernels (worker/model/cuda_kernels.h); else kOperators.
    kFused,
    // Stock operators over the flat buffers, on any device.
    kOperators,
  };

  // `parameters` must outlive the optimizer.
  Optimizer(const OptimizerOptions& options, FlatParameters* parameters,
            Path path = Path::kFused);

  // Updates the weights from the gradients of the slots' views, which it
  // leaves as they are; a missing one counts as zero. Returns the L2 norm of
  // the gradient: when it is not finite, weights and moments are spoilt.
  double Step(const OptimizerStep& step);

  // m and, for Adamax, u, else v; buffers of the parameters' layout.
  const at::Tensor& first_moment() const { return first_moment_; }
  const at::Tensor& second_moment() const { return second_moment_; }
  // Their names in checkpoints: "adamax_m", "adamax_u", "adamw_m", "adamw_v".
  std::string first_moment_name() const;
  std::string second_moment_name() const;

 private:
  // A part of a slot that one thread handles at a time.
  struct Chunk {
    size_t slot;
    // Within the slot.
    int64_t begin;
    int64_t size;
  };

  double FusedStep(const OptimizerStep& step);
  // The same on a GPU, in optimizer_cuda.cc.
  double CudaStep(const OptimizerStep& step);
  double OperatorStep(const OptimizerStep& step);
  // lr / (1 − β1^t) and 1 / √(1 − β2^t).
  double StepSize(const OptimizerStep& step) const;
  double SecondMomentScale(const OptimizerStep& step) const;
  // All gradients in the parameters' layout.
  at::Tensor FlatGradient() const;

  OptimizerOptions options_;
  FlatParameters* parameters_;
  Path path_;
  std::vector<Chunk> chunks_;
  // Those on the GPU, once a step has run there.
  at::Tensor gpu_chunks_;
  at::Tensor first_moment_;
  at::Tensor second_moment_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_OPTIMIZER_H_
