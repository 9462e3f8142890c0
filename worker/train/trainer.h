// One training run, step by step.

#ifndef ATTUNE_WORKER_TRAIN_TRAINER_H_
#define ATTUNE_WORKER_TRAIN_TRAINER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"
#include "worker/train/beta_average.h"
#include "worker/train/encoder.h"
#include "worker/train/flat_parameters.h"
#include "worker/train/optimizer.h"
#include "worker/train/step_gradient.h"
#include "worker/train/step_metrics.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

namespace attune::train {

// Y may not be longer where a softmax is over all of it.
inline constexpr int64_t kMaxCandidates = 1000;

// All that a run needs to go on, beside its config, data and base.
struct TrainerState {
  // "weights/NAME", "average/NAME" (with an average), and the moments,
  // "adamax_m/NAME" and "adamax_u/NAME" or "adamw_m/NAME" and "adamw_v/NAME",
  // for every trained tensor NAME. fp32; a copy, on the CPU, so that a GPU's
  // memory does not hold it while it is stored.
  model::Tensors tensors;
  // The step, and what the run was told, to find out a state that belongs to
  // another run. Everything else follows from the step.
  std::string json;
};

// Same build, device kind, thread count and instruction set: the same run has
// the same bits on the CPU, interrupted and restored or not.
//
// Not thread-safe. LibTorch's errors become Status: RESOURCE_EXHAUSTED
// (OUT_OF_MEMORY) or INTERNAL (TORCH_ERROR). After an error of Step or
// Restore the trainer's state is lost: make a new one.
class Trainer {
 public:
  // `base` is the model to start from and the reference; its device is the
  // run's. It is shared, not copied, apart from the tensors that are trained.
  // `pixels` must outlive the trainer and give images of the model's size.
  //
  // INVALID_ARGUMENT, with reason
  //   UNKNOWN_OBJECTIVE, MISSING_OPTION  those of MakeObjective
  //   NO_TRAINING_EXAMPLES  the objective's stream is empty
  //   NO_CLEAN_EXAMPLES     λ > 0, or an objective with z, without clean images
  //   NO_CANDIDATES         those, or a loss over Y, without candidates
  //   TOO_MANY_CANDIDATES   the same with more than kMaxCandidates
  //   NOT_A_CANDIDATE       a loss over Y with a pair's text outside of it
  //   MICRO_BATCH_UNSUPPORTED  a micro-batch with an objective on captions, or
  //                         a linear head
  //   INDEX_OUT_OF_RANGE    an example or candidate names a text that is not
  //                         there
  //   INVALID_CONFIG        a size, rate, number of passes or of blocks that
  //                         makes no sense
  // and the errors of FlatParameters::Create.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(
      const TrainConfig& config, const ClipConfig& clip,
      const model::Tensors& base, TrainingData data, PixelSource* pixels);

  // The next optimizer step.
  // FAILED_PRECONDITION (RUN_ENDED) after the last; FAILED_PRECONDITION
  // (NON_FINITE_LOSS) when loss or gradient is not finite; errors of the
  // pixel source; INVALID_ARGUMENT (INVALID_TOKENS) for a text that the model
  // cannot take.
  absl::StatusOr<StepMetrics> Step();

  // Called now and then within a step, whenever a part of it is done: a step
  // may take long.
  void SetWorkListener(std::function<void()> worked) {
    encoder_.SetWorkListener(std::move(worked));
  }

  // Steps done, and steps of the whole run.
  int64_t step() const { return step_; }
  int64_t total_steps() const { return total_steps_; }
  int64_t steps_per_epoch() const { return gradient_.steps_per_epoch(); }
  // Examples a step, without the clean images.
  int64_t batch_size() const { return gradient_.batch_size(); }

  // A snapshot; later steps do not change it.
  absl::StatusOr<TrainerState> SaveState() const;

  // Goes on from a state of the same run.
  // FAILED_PRECONDITION: CHECKPOINT_MISMATCH when it belongs to another or a
  // newer build wrote it, CHECKPOINT_OUTDATED when an older build did, in a
  // form that is not read any more. DATA_LOSS (INVALID_CHECKPOINT) when a
  // tensor is missing or mis-shaped or the JSON cannot be read.
  absl::Status Restore(const TrainerState& state);

  // Embeddings of images by the base that the run computed so far; nothing of
  // data.known_embeddings. For other runs of the same base.
  EmbeddingRows ComputedEmbeddings() const { return encoder_.ComputedImages(); }

  // A snapshot of the model: the last iterate, and the average. Frozen
  // tensors share the base's storage. A linear head is there as V and S.
  // REQUIRES: config.average, for the average.
  absl::StatusOr<model::Tensors> LastWeights() const;
  absl::StatusOr<model::Tensors> AverageWeights() const;

 private:
  Trainer(const TrainConfig& config, objective::Objective objective,
          const ClipConfig& clip, const model::Tensors& base, TrainingData data,
          PixelSource* pixels, FlatParameters parameters);

  absl::StatusOr<StepMetrics> StepOrThrow();
  absl::Status RestoreOrThrow(const TrainerState& state);
  // The flat buffers of a state by the prefix of their names.
  std::map<std::string, at::Tensor> Buffers() const;
  // As a version is stored.
  model::Tensors Output(model::Tensors tensors) const;
  // What distinguishes runs, as JSON text.
  std::string Identity() const;

  TrainConfig config_;
  TrainingData data_;
  FlatParameters parameters_;
  Optimizer optimizer_;
  Encoder encoder_;
  StepGradient gradient_;
  int64_t step_ = 0;
  int64_t total_steps_;
  BetaAverage beta_average_;
  // In the parameters' layout; undefined without an average.
  at::Tensor average_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_TRAINER_H_
