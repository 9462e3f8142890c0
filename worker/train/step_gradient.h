// Loss and gradient of one optimizer step.

#ifndef ATTUNE_WORKER_TRAIN_STEP_GRADIENT_H_
#define ATTUNE_WORKER_TRAIN_STEP_GRADIENT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/model/clip.h"
#include "worker/objective/objective.h"
#include "worker/train/clean_stream.h"
#include "worker/train/data_order.h"
#include "worker/train/encoder.h"
#include "worker/train/reference.h"
#include "worker/train/step_metrics.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

namespace attune::train {

// Runs the policy over a step's batch of the training stream and, with λ > 0 or
// an objective that uses z, of the clean stream, and backpropagates
// objective + λ · KL.
//
// Image activations live for one micro-batch at a time. z is a mean over the
// whole batch: where it is used, all clean images come first. Texts are
// embedded once a step: their features are cut off from the graph, collect a
// gradient over the micro-batches, and take it back through the text tower
// once. Not thread-safe.
class StepGradient {
 public:
  // `data` and `encoder` must outlive this. `policy` shares storage with the
  // caller's tensors.
  // REQUIRES: a config that fits the data (Trainer::Create checks it).
  StepGradient(const TrainConfig& config, objective::Objective objective,
               const TrainingData* data, Encoder* encoder,
               const model::Tensors& reference, const model::Tensors& policy);

  // Adds the gradient of step `step` (from 0) to those of the policy's
  // tensors. The result lacks what the optimizer knows: step, learning rate
  // and norm. Errors are those of the pixel source and of PackTexts.
  absl::StatusOr<StepMetrics> Compute(int64_t step);

  // Training examples and clean examples (0 where none are used) a step, after
  // clipping.
  int64_t batch_size() const { return order_.batch_size(); }
  int64_t clean_batch_size() const;
  int64_t steps_per_epoch() const { return order_.steps_per_epoch(); }

 private:
  // A step's inputs.
  struct Batch {
    // Entries of the training stream and of CleanStream.
    absl::Span<const int64_t> examples;
    std::vector<int64_t> clean;
    // The texts to embed, candidates first where they are used.
    std::vector<int64_t> texts;
    // Column among `texts` of each example's y_w, or caption, and of its y_l
    // (pairs). int64 [B].
    at::Tensor preferred;
    at::Tensor rejected;
    // The reference's, where it is used: [B, |texts|] (pairs) and
    // [clean, |candidates|].
    at::Tensor reference_logits;
    at::Tensor clean_reference_logits;
  };
  // Sums over the batch, without gradient; undefined when there is none.
  struct Sums {
    at::Tensor objective, kl, preferred_log_ratio, rejected_log_ratio, margin,
        correct;
  };
  // What is computed at a time: this part of the examples and of the clean
  // images.
  struct Part {
    int64_t begin, size;
    int64_t clean_begin, clean_size;
  };

  // Null for an objective on captions.
  const objective::PairObjective* pair_objective() const {
    return std::get_if<objective::PairObjective>(&objective_);
  }
  bool uses_reference() const {
    return pair_objective() != nullptr && pair_objective()->uses_reference;
  }
  bool uses_clean_kl() const {
    return pair_objective() != nullptr && pair_objective()->uses_clean_kl;
  }
  bool uses_candidates() const {
    return clean_.has_value() ||
           (pair_objective() != nullptr && pair_objective()->over_candidates);
  }
  absl::StatusOr<Batch> MakeBatch(int64_t step);
  std::vector<Part> Parts(const Batch& batch) const;
  // f(x) and g(y) of the policy, times W where there is a linear head.
  absl::StatusOr<at::Tensor> ImageEmbeddings(const Batch& batch, Part part);
  absl::StatusOr<at::Tensor> TextEmbeddings(const Batch& batch);
  at::Tensor Transformed(const at::Tensor& embeddings) const;
  // A part's loss [] from its image embeddings (examples, then clean images)
  // and all text embeddings.
  at::Tensor Loss(const Batch& batch, Part part, const at::Tensor& f,
                  const at::Tensor& g, Sums& sums) const;
  at::Tensor PairLoss(const Batch& batch, Part part, const at::Tensor& logits,
                      Sums& sums) const;
  at::Tensor CaptionLoss(const Batch& batch, const at::Tensor& logits,
                         Sums& sums) const;
  StepMetrics Read(const Batch& batch, const Sums& sums) const;

  TrainConfig config_;
  objective::Objective objective_;
  const TrainingData* data_;
  Encoder* encoder_;
  model::Tensors policy_;
  DataOrder order_;
  // Set where clean images are used.
  std::optional<CleanStream> clean_;
  Reference reference_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_STEP_GRADIENT_H_
