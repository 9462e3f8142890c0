#include "worker/train/trainer.h"

#include <ATen/ops/eye.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/model/linear_head.h"
#include "worker/model/torch_status.h"

namespace attune::train {
namespace {

absl::Status Invalid(absl::string_view reason, absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, reason, message);
}

absl::Status CheckTexts(const TrainingData& data) {
  const auto count = static_cast<int64_t>(data.texts.size());
  const auto known = [count](int64_t text) {
    return text >= 0 && text < count;
  };
  bool all_known = true;
  for (int64_t text : data.candidates) all_known &= known(text);
  for (const PairExample& pair : data.pairs) {
    all_known &= known(pair.preferred) && known(pair.rejected);
  }
  for (const CaptionExample& example : data.captions) {
    all_known &= known(example.caption);
  }
  if (all_known) return absl::OkStatus();
  return Invalid("INDEX_OUT_OF_RANGE",
                 absl::StrCat("an example or a candidate names a text that is "
                              "not among the ",
                              count));
}

absl::Status CheckConfig(const TrainConfig& config) {
  if (config.batch_size < 1 || config.clean_batch_size.value_or(1) < 1 ||
      config.micro_batch_size < 0 || config.epochs < 0 ||
      config.steps.value_or(1) < 1 || !(config.schedule.learning_rate > 0) ||
      !(config.schedule.warmup_ratio >= 0 &&
        config.schedule.warmup_ratio < 1) ||
      !(config.kl_weight >= 0) || !(config.head.penalty >= 0)) {
    return Invalid(
        "INVALID_CONFIG",
        "batch sizes and learning rate must be positive, micro-batch size, "
        "passes, the weight of the KL and the head's penalty not negative, "
        "the warm-up ratio in [0, 1)");
  }
  if (TrainsHead(config) && config.micro_batch_size > 0) {
    return Invalid("MICRO_BATCH_UNSUPPORTED",
                   "a linear head trains on cached embeddings; leave the "
                   "micro-batch size at 0");
  }
  return absl::OkStatus();
}

absl::Status CheckTrainedPart(const TrainedPart& part, const ClipConfig& clip) {
  const int layers = std::max(clip.vision_layers, clip.text_layers);
  if (part.kind != TrainedPart::Kind::kLastBlocks ||
      (part.last_blocks >= 1 && part.last_blocks <= layers)) {
    return absl::OkStatus();
  }
  return Invalid("INVALID_CONFIG",
                 absl::StrCat("the last ", part.last_blocks,
                              " blocks cannot be trained: it must be 1 to ",
                              layers, " blocks"));
}

absl::Status CheckStream(const TrainConfig& config,
                         const objective::Objective& objective,
                         const TrainingData& data) {
  const std::string& name = config.objective.name;
  if (std::holds_alternative<objective::PairObjective>(objective)) {
    if (!data.pairs.empty()) return absl::OkStatus();
    return Invalid("NO_TRAINING_EXAMPLES",
                   absl::StrCat(name,
                                " needs pairs, and the dataset has "
                                "none"));
  }
  if (data.captions.empty()) {
    return Invalid("NO_TRAINING_EXAMPLES",
                   absl::StrCat(name,
                                " needs captioned images, and the "
                                "dataset has none"));
  }
  if (config.micro_batch_size > 0) {
    return Invalid("MICRO_BATCH_UNSUPPORTED",
                   absl::StrCat(name,
                                " does not split into micro-batches; "
                                "leave the micro-batch size at 0"));
  }
  return absl::OkStatus();
}

absl::Status CheckCandidates(const TrainingData& data) {
  if (data.candidates.empty()) {
    return Invalid("NO_CANDIDATES",
                   "the objective or its KL needs candidates; add some");
  }
  if (static_cast<int64_t>(data.candidates.size()) > kMaxCandidates) {
    return Invalid("TOO_MANY_CANDIDATES",
                   absl::StrCat("a softmax is over at most ", kMaxCandidates,
                                " candidates, not ", data.candidates.size(),
                                "; name fewer"));
  }
  return absl::OkStatus();
}

// A loss over all candidates has no value for another text.
absl::Status CheckPairsAreCandidates(const TrainingData& data) {
  const std::set<int64_t> candidates(data.candidates.begin(),
                                     data.candidates.end());
  for (const PairExample& pair : data.pairs) {
    if (candidates.contains(pair.preferred) &&
        candidates.contains(pair.rejected)) {
      continue;
    }
    return Invalid("NOT_A_CANDIDATE",
                   "a text of a pair is not among the candidates");
  }
  return absl::OkStatus();
}

absl::Status Check(const TrainConfig& config,
                   const objective::Objective& objective,
                   const TrainingData& data) {
  ATTUNE_RETURN_IF_ERROR(CheckConfig(config));
  ATTUNE_RETURN_IF_ERROR(CheckStream(config, objective, data));
  const auto* pair = std::get_if<objective::PairObjective>(&objective);
  const bool over_candidates = pair != nullptr && pair->over_candidates;
  const bool uses_clean =
      config.kl_weight > 0 || (pair != nullptr && pair->uses_clean_kl);
  if (uses_clean && !HasCleanImages(data)) {
    return Invalid("NO_CLEAN_EXAMPLES",
                   "the KL needs clean images; add some, or set its weight to "
                   "0 where the objective allows it");
  }
  if (uses_clean || over_candidates) {
    ATTUNE_RETURN_IF_ERROR(CheckCandidates(data));
  }
  if (over_candidates) ATTUNE_RETURN_IF_ERROR(CheckPairsAreCandidates(data));
  return CheckTexts(data);
}

Optimizer::Path PathOf(const TrainConfig& config) {
  return config.savings.fused_optimizer ? Optimizer::Path::kFused
                                        : Optimizer::Path::kOperators;
}

absl::Status NotFinite(absl::string_view what, int64_t step, double rate) {
  return Error(absl::StatusCode::kFailedPrecondition, "NON_FINITE_LOSS",
               absl::StrCat("the ", what, " of step ", step,
                            " is not finite at a learning rate of ", rate,
                            "; lower the learning rate"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(
    const TrainConfig& config, const ClipConfig& clip,
    const model::Tensors& base, TrainingData data, PixelSource* pixels) {
  ATTUNE_ASSIGN_OR_RETURN(objective::Objective objective,
                          objective::MakeObjective(config.objective.name,
                                                   config.objective.options));
  ATTUNE_RETURN_IF_ERROR(Check(config, objective, data));
  ATTUNE_RETURN_IF_ERROR(CheckTrainedPart(config.trained_part, clip));
  std::set<std::string> frozen = FrozenNames(config.trained_part, clip, base);
  model::Tensors start = base;
  if (config.freeze_logit_scale) frozen.insert("logit_scale");
  return model::CatchTorchErrors(
      [&]() -> absl::StatusOr<std::unique_ptr<Trainer>> {
        if (TrainsHead(config)) {
          start[model::kHeadWeight] =
              at::eye(clip.embedding_size, base.at("visual.proj").options());
        }
        ATTUNE_ASSIGN_OR_RETURN(
            FlatParameters parameters,
            FlatParameters::Create(start, frozen, config.savings.share_frozen));
        return std::unique_ptr<Trainer>(
            new Trainer(config, std::move(objective), clip, base,
                        std::move(data), pixels, std::move(parameters)));
      });
}

Trainer::Trainer(const TrainConfig& config, objective::Objective objective,
                 const ClipConfig& clip, const model::Tensors& base,
                 TrainingData data, PixelSource* pixels,
                 FlatParameters parameters)
    : config_(config),
      data_(std::move(data)),
      parameters_(std::move(parameters)),
      optimizer_(config.optimizer, &parameters_, PathOf(config)),
      encoder_(clip, config, objective, base, &data_, pixels),
      gradient_(config, std::move(objective), &data_, &encoder_, base,
                parameters_.policy()),
      total_steps_(
          config.steps.value_or(config.epochs * gradient_.steps_per_epoch())),
      beta_average_(total_steps_) {
  if (config.average) average_ = parameters_.flat().clone();
}

absl::StatusOr<StepMetrics> Trainer::Step() {
  return model::CatchTorchErrors([&] { return StepOrThrow(); });
}

absl::StatusOr<StepMetrics> Trainer::StepOrThrow() {
  if (step_ >= total_steps_) {
    return Error(absl::StatusCode::kFailedPrecondition, "RUN_ENDED",
                 absl::StrCat("the run has done its ", total_steps_, " steps"));
  }
  const double learning_rate =
      LearningRate(config_.schedule, step_, total_steps_);
  parameters_.ClearGradients();
  ATTUNE_ASSIGN_OR_RETURN(StepMetrics metrics, gradient_.Compute(step_));
  metrics.step = step_ + 1;
  metrics.learning_rate = learning_rate;
  if (!std::isfinite(metrics.loss)) {
    return NotFinite("loss", metrics.step, learning_rate);
  }
  metrics.gradient_norm = optimizer_.Step(
      {.number = metrics.step,
       .learning_rate = learning_rate,
       .average = average_,
       .average_share = config_.average ? beta_average_.NextShare() : 0});
  if (!std::isfinite(metrics.gradient_norm)) {
    return NotFinite("gradient", metrics.step, learning_rate);
  }
  ++step_;
  return metrics;
}

model::Tensors Trainer::Output(model::Tensors tensors) const {
  return TrainsHead(config_) ? model::WithFactors(std::move(tensors)) : tensors;
}

absl::StatusOr<model::Tensors> Trainer::LastWeights() const {
  return model::CatchTorchErrors([&]() -> absl::StatusOr<model::Tensors> {
    return Output(parameters_.WithFlat(parameters_.flat().clone()));
  });
}

absl::StatusOr<model::Tensors> Trainer::AverageWeights() const {
  return model::CatchTorchErrors([&]() -> absl::StatusOr<model::Tensors> {
    return Output(parameters_.WithFlat(average_.clone()));
  });
}

}  // namespace attune::train
