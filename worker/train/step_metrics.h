#ifndef ATTUNE_WORKER_TRAIN_STEP_METRICS_H_
#define ATTUNE_WORKER_TRAIN_STEP_METRICS_H_

#include <cstdint>
#include <optional>

namespace attune::train {

// What one optimizer step reports; a value that the objective does not have
// is absent. Log-ratios, margin and KL are in nats.
struct StepMetrics {
  // From 1.
  int64_t step = 0;
  // Passes over the training stream after the step, with fraction.
  double epoch = 0;
  // objective_loss + λ·KL, and κ times the penalty of a linear head, of the
  // weights before the step.
  double loss = 0;
  double objective_loss = 0;
  // Mean over the clean images.
  std::optional<double> kl;
  // a, b and h = a − b, mean over the pairs. a and b are over the texts that
  // the step embeds: the candidates with λ > 0, else the batch's own.
  std::optional<double> preferred_log_ratio;
  std::optional<double> rejected_log_ratio;
  std::optional<double> margin;
  // Share of the pairs with π_θ(y_w) > π_θ(y_l).
  std::optional<double> pair_accuracy;
  // s = exp(logit_scale), before the step.
  double logit_scale = 0;
  double learning_rate = 0;
  // L2 norm over all trained tensors.
  double gradient_norm = 0;

  friend bool operator==(const StepMetrics&, const StepMetrics&) = default;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_STEP_METRICS_H_
