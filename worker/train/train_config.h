// What a training run is told: plain data, filled in from a job's request.

#ifndef ATTUNE_WORKER_TRAIN_TRAIN_CONFIG_H_
#define ATTUNE_WORKER_TRAIN_TRAIN_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/objective_schema.h"
#include "worker/train/optimizer.h"
#include "worker/train/schedule.h"
#include "worker/train/trained_part.h"

namespace attune::train {

// One of worker/objective, and a value for each of its options.
struct ObjectiveChoice {
  std::string name = "dpo";
  ObjectiveValues options;
};

// Of TrainedPart::Kind::kHead.
struct LinearHead {
  // κ ≥ 0 of  + κ ‖I − W Wᵀ‖_F.
  double penalty = 0.01;
};

// Exact savings (docs/performance.md), on but in tests: with each one off the
// run is the same up to rounding.
struct Savings {
  // Reference embeddings are computed once instead of at every step.
  bool cache_reference = true;
  // Policy texts are embedded once a step instead of once a micro-batch.
  bool texts_once = true;
  // Prompts share their common beginnings.
  bool share_prefixes = true;
  // The last block is computed for the token that is read out alone.
  bool readout_only = true;
  // One optimizer pass instead of stock operators.
  bool fused_optimizer = true;
  // What a frozen tower, or the frozen beginning of one, makes of an image or
  // text is computed once, and serves policy and reference.
  bool cache_frozen = true;
  // Frozen tensors are the base's own memory, not a copy.
  bool share_frozen = true;
  // QuickGELU in one pass each way.
  bool fused_quick_gelu = true;
  // The patch embedding is one matrix product.
  bool patches_as_product = true;
};

struct TrainConfig {
  ObjectiveChoice objective;
  // λ ≥ 0 of  objective + λ · KL.
  double kl_weight = 1;
  OptimizerOptions optimizer;
  Schedule schedule;
  // Passes over the training stream; `steps`, when set, takes their place.
  int64_t epochs = 3;
  std::optional<int64_t> steps;
  // Training examples an optimizer step, and clean examples beside them (unset:
  // as many); each is clipped to its stream.
  int64_t batch_size = 512;
  std::optional<int64_t> clean_batch_size;
  // Examples computed at a time, 0 for all. Not for captions.
  int64_t micro_batch_size = 0;
  // Of the data order.
  uint64_t seed = 0;
  TrainedPart trained_part;
  bool freeze_logit_scale = false;
  LinearHead head;
  // Most memory that the states after a frozen beginning may take in each
  // tower, in bytes; an image of ViT-B/32 takes 154 kB (fp32, so that results
  // stay the same). What does not fit goes through the frozen blocks at every
  // step.
  int64_t state_cache_bytes = int64_t{4} << 30;
  // The towers' matrix products in bf16; weights, gradients, moments, average,
  // embeddings, logits and losses stay fp32.
  bool bf16 = false;
  // Keep a Beta moving average of the weights.
  bool average = true;
  Savings savings;
};

inline bool TrainsHead(const TrainConfig& config) {
  return config.trained_part.kind == TrainedPart::Kind::kHead;
}

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_TRAIN_CONFIG_H_
