#include "server/core/jobs/train_spec.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/bounds.h"
#include "common/error.h"
#include "common/names.h"

namespace attune::core {
namespace {

using storage::EvaluateSpec;
using storage::OptimizerKind;
using storage::OptimizerOptions;
using storage::TrainedKind;
using storage::TrainSpec;

constexpr int32_t kDefaultEpochs = 3;
constexpr int32_t kMaxEpochs = 10'000;
constexpr int64_t kMaxSteps = 10'000'000;
constexpr int32_t kDefaultBatchSize = 512;
constexpr int32_t kMaxBatchSize = 65'536;
constexpr double kDefaultHeadPenalty = 0.01;
constexpr size_t kMaxTemplates = 1'000;
constexpr size_t kMaxGroupings = 20;
constexpr absl::string_view kLastBlocks = "train.trained_part.last_blocks";

// Collects what is wrong with a request, field by field.
class Checker {
 public:
  void Fail(absl::string_view field, absl::string_view problem) {
    violations_.push_back({std::string(field), std::string(problem)});
  }
  void Check(bool good, absl::string_view field, absl::string_view problem) {
    if (!good) Fail(field, problem);
  }
  // Takes over the fields of an error that names them.
  void Add(const absl::Status& status) {
    for (const FieldViolation& violation : ErrorFields(status)) {
      violations_.push_back(violation);
    }
  }
  // NaN fails every comparison, so it is refused with the rest.
  void CheckPositive(double value, absl::string_view field) {
    Check(value > 0 && std::isfinite(value), field,
          "must be a finite number above 0");
  }
  void CheckNotNegative(double value, absl::string_view field) {
    Check(value >= 0 && std::isfinite(value), field,
          "must be a finite number, 0 or above");
  }
  absl::Status Finish() const {
    if (violations_.empty()) return absl::OkStatus();
    return InvalidFields("INVALID_FIELD", violations_);
  }

 private:
  std::vector<FieldViolation> violations_;
};

void CheckOption(const OptionSchema& option, double value,
                 absl::string_view field, Checker& checker) {
  if (option.at_least && option.below) {
    checker.Check(value >= *option.at_least && value < *option.below, field,
                  absl::StrCat("must be in [", *option.at_least, ", ",
                               *option.below, ")"));
    return;
  }
  checker.Check(std::isfinite(value), field, "must be a finite number");
  if (option.above) {
    checker.Check(
        value > *option.above, field,
        absl::StrCat("must be a finite number above ", *option.above));
  }
  if (option.at_least) {
    checker.Check(value >= *option.at_least, field,
                  absl::StrCat("must be a finite number, ", *option.at_least,
                               " or above"));
  }
  if (option.below) {
    checker.Check(value < *option.below, field,
                  absl::StrCat("must be below ", *option.below));
  }
}

storage::Objective ResolveObjective(const ObjectiveRequest& request,
                                    Checker& checker) {
  const ObjectiveSchema& schema = *request.schema;
  storage::Objective objective = {schema.name,
                                  schema.WithDefaults(request.options)};
  for (const OptionSchema& option : schema.options) {
    CheckOption(option, objective.options.at(option.name),
                absl::StrCat("train.", schema.name, ".", option.name), checker);
  }
  return objective;
}

// What the objective's authors trained with.
OptimizerOptions Published(const ObjectiveSchema& schema) {
  OptimizerOptions options;
  if (schema.adamw) options.kind = OptimizerKind::kAdamW;
  options.learning_rate = schema.learning_rate;
  options.weight_decay = schema.weight_decay;
  return options;
}

OptimizerOptions ResolveOptimizer(const OptimizerRequest& request,
                                  const OptimizerOptions& published,
                                  Checker& checker) {
  OptimizerOptions options = {
      .kind = request.kind.value_or(published.kind),
      .learning_rate = request.learning_rate.value_or(published.learning_rate),
      .weight_decay = request.weight_decay.value_or(published.weight_decay),
      .warmup_ratio = request.warmup_ratio.value_or(published.warmup_ratio),
      .schedule = request.schedule.value_or(published.schedule)};
  checker.CheckPositive(options.learning_rate, "train.optimizer.learning_rate");
  checker.CheckNotNegative(options.weight_decay,
                           "train.optimizer.weight_decay");
  checker.Check(options.warmup_ratio >= 0 && options.warmup_ratio < 1,
                "train.optimizer.warmup_ratio", "must be in [0, 1)");
  return options;
}

void ResolveLength(const TrainRequest& request, TrainSpec& spec,
                   Checker& checker) {
  const int32_t epochs = request.epochs.value_or(0);
  const int64_t steps = request.steps.value_or(0);
  checker.Check(epochs >= 0 && epochs <= kMaxEpochs, "train.epochs",
                absl::StrCat("must be at most ", kMaxEpochs));
  checker.Check(steps >= 0 && steps <= kMaxSteps, "train.steps",
                absl::StrCat("must be at most ", kMaxSteps));
  if (epochs > 0 && steps > 0) {
    checker.Fail("train.steps", "set either epochs or steps, not both");
  } else if (steps > 0) {
    spec.steps = steps;
  } else if (epochs > 0) {
    spec.epochs = epochs;
  } else if (!request.epochs.has_value() && !request.steps.has_value()) {
    spec.epochs = kDefaultEpochs;
  } else {
    checker.Fail(request.epochs.has_value() ? "train.epochs" : "train.steps",
                 "epochs and steps cannot both be 0");
  }
}

void ResolveTrainedPart(const TrainRequest& request, TrainSpec& spec,
                        Checker& checker) {
  spec.trained_part = request.trained_part;
  if (spec.trained_part.kind == TrainedKind::kLast) {
    checker.Check(spec.trained_part.last_blocks >= 1, kLastBlocks,
                  "must be 1 block or above");
  } else {
    checker.Check(spec.trained_part.last_blocks == 0, kLastBlocks,
                  "belongs to KIND_LAST: leave it unset");
  }
  if (spec.trained_part.kind != TrainedKind::kHead) {
    checker.Check(!request.head.has_value(), "train.head",
                  "belongs to trained_part KIND_HEAD: leave it unset");
    return;
  }
  const HeadRequest head = request.head.value_or(HeadRequest());
  spec.head_penalty = head.penalty.value_or(kDefaultHeadPenalty);
  checker.CheckNotNegative(*spec.head_penalty, "train.head.penalty");
  checker.Check(request.optimizer.weight_decay.value_or(0) == 0,
                "train.optimizer.weight_decay",
                "a linear head does not decay, its penalty holds it: leave it "
                "unset");
  spec.optimizer.weight_decay = 0;
  checker.Check(request.micro_batch_size == 0, "train.micro_batch_size",
                "a linear head trains on embeddings that are computed once: "
                "leave it unset");
}

void CheckGuard(const storage::GuardOptions& guard, bool has_eval_dataset,
                Checker& checker) {
  checker.Check(has_eval_dataset, "train.guard",
                "needs an eval_dataset to measure on");
  checker.Check(!guard.max_drop.empty(), "train.guard.max_drop",
                "must bound a figure");
  const std::string known = absl::StrJoin(BoundableFigures(), ", ");
  for (const auto& [figure, drop] : guard.max_drop) {
    const std::string field =
        absl::StrCat("train.guard.max_drop[", figure, "]");
    checker.Check(IsBoundable(figure), field,
                  absl::StrCat("must be one of ", known));
    checker.Check(drop >= 0 && drop <= 1, field, "must be in [0, 1]");
  }
  checker.Check(guard.eval_every.value_or(1) >= 1, "train.guard.eval_every",
                "must be 1 step or above");
  checker.Check(guard.patience >= 0, "train.guard.patience",
                "must be 0 (never) or above");
  checker.Check(guard.best_by.empty() || IsBoundable(guard.best_by),
                "train.guard.best_by", absl::StrCat("must be one of ", known));
}

void CheckTemplates(const std::vector<std::string>& templates,
                    Checker& checker) {
  checker.Check(templates.size() <= kMaxTemplates, "evaluate.templates",
                absl::StrCat("must be at most ", kMaxTemplates));
  for (size_t i = 0; i < templates.size(); ++i) {
    const std::string field = absl::StrCat("evaluate.templates[", i, "]");
    checker.Add(ValidateText(field, templates[i]));
    const size_t first = templates[i].find("{}");
    checker.Check(first != std::string::npos &&
                      templates[i].find("{}", first + 2) == std::string::npos,
                  field, "must have one \"{}\" for the candidate");
  }
}

void CheckGroupBy(const std::vector<std::string>& attributes,
                  Checker& checker) {
  checker.Check(attributes.size() <= kMaxGroupings, "evaluate.group_by",
                absl::StrCat("must be at most ", kMaxGroupings));
  for (size_t i = 0; i < attributes.size(); ++i) {
    const std::string field = absl::StrCat("evaluate.group_by[", i, "]");
    checker.Add(ValidateText(field, attributes[i]));
    checker.Check(std::count(attributes.begin(), attributes.begin() + i,
                             attributes[i]) == 0,
                  field, "is named twice");
  }
}

void CheckSelectorGiven(absl::string_view selector, absl::string_view field,
                        Checker& checker) {
  checker.Check(!selector.empty(), field,
                "must name a version, such as NAME, NAME:N or NAME@ALIAS");
}

}  // namespace

absl::StatusOr<TrainSpec> ResolveTrainSpec(const TrainRequest& request) {
  Checker checker;
  TrainSpec spec;
  spec.dataset = request.dataset;
  spec.base = request.base;
  spec.output_model = request.output_model;
  spec.eval_dataset = request.eval_dataset;
  spec.truncate = request.truncate;
  spec.freeze_logit_scale = request.freeze_logit_scale;
  spec.seed = request.seed.value_or(0);
  checker.Add(ValidateName("train.dataset", spec.dataset));
  CheckSelectorGiven(spec.base, "train.base", checker);
  checker.Add(ValidateName("train.output_model", spec.output_model));
  if (!spec.eval_dataset.empty()) {
    checker.Add(ValidateName("train.eval_dataset", spec.eval_dataset));
  }

  OptimizerOptions published;
  bool whole_batch = false;
  // Without an objective nothing is known.
  bool uses_clean = true;
  if (const ObjectiveSchema* schema = request.objective.schema) {
    spec.objective = ResolveObjective(request.objective, checker);
    spec.average = request.average.value_or(schema->average);
    published = Published(*schema);
    whole_batch = schema->whole_batch;
    uses_clean = schema->needs_clean_examples || KlWeight(spec.objective) > 0;
  } else {
    checker.Fail("train.objective", "choose one, such as dpo");
  }
  spec.optimizer = ResolveOptimizer(request.optimizer, published, checker);
  ResolveLength(request, spec, checker);

  spec.batch_size = request.batch_size.value_or(kDefaultBatchSize);
  checker.Check(spec.batch_size >= 1 && spec.batch_size <= kMaxBatchSize,
                "train.batch_size",
                absl::StrCat("must be from 1 to ", kMaxBatchSize));
  spec.clean_batch_size = request.clean_batch_size;
  const int32_t clean_batch_size = spec.clean_batch_size.value_or(1);
  checker.Check(clean_batch_size >= 1 && clean_batch_size <= kMaxBatchSize,
                "train.clean_batch_size",
                absl::StrCat("must be from 1 to ", kMaxBatchSize));
  checker.Check(!spec.clean_batch_size.has_value() || uses_clean,
                "train.clean_batch_size",
                "no clean examples are used with kl_weight 0: leave it unset");
  spec.micro_batch_size = request.micro_batch_size;
  checker.Check(spec.micro_batch_size >= 0, "train.micro_batch_size",
                "must be 0 (the batch) or above");
  checker.Check(!whole_batch || spec.micro_batch_size == 0,
                "train.micro_batch_size",
                absl::StrCat("the loss of ", spec.objective.name,
                             " does not split over micro-batches: leave it "
                             "unset"));
  checker.Check(spec.micro_batch_size <= spec.batch_size,
                "train.micro_batch_size", "must not exceed batch_size");
  ResolveTrainedPart(request, spec, checker);
  spec.precision = request.precision;
  spec.checkpoint_every = request.checkpoint_every;
  checker.Check(spec.checkpoint_every.value_or(1) >= 1,
                "train.checkpoint_every", "must be 1 step or above");
  if (request.guard.has_value()) {
    CheckGuard(*request.guard, !spec.eval_dataset.empty(), checker);
    spec.guard = request.guard;
  }
  if (absl::Status status = checker.Finish(); !status.ok()) return status;
  return spec;
}

absl::StatusOr<EvaluateSpec> ResolveEvaluateSpec(
    const EvaluateRequest& request) {
  Checker checker;
  checker.Add(ValidateName("evaluate.dataset", request.dataset));
  CheckSelectorGiven(request.model, "evaluate.model", checker);
  CheckTemplates(request.templates, checker);
  CheckGroupBy(request.group_by, checker);
  checker.Check(request.seed >= 0, "evaluate.seed", "must be 0 or above");
  if (absl::Status status = checker.Finish(); !status.ok()) return status;
  return EvaluateSpec{.dataset = request.dataset,
                      .model = request.model,
                      .against = request.against,
                      .templates = request.templates,
                      .truncate = request.truncate,
                      .group_by = request.group_by,
                      .seed = request.seed,
                      .t = request.t};
}

absl::Status CheckTrainedPart(const storage::TrainedPart& part,
                              const ClipConfig& base) {
  const int layers = std::max(base.vision_layers, base.text_layers);
  if (part.kind != TrainedKind::kLast || part.last_blocks <= layers) {
    return absl::OkStatus();
  }
  return InvalidField(kLastBlocks,
                      absl::StrCat("must be at most ", layers,
                                   ", the layers of the base's deeper tower"));
}

double KlWeight(const storage::Objective& objective) {
  const auto found = objective.options.find(kKlWeight);
  return found == objective.options.end() ? 0 : found->second;
}

}  // namespace attune::core
