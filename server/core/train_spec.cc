#include "server/core/train_spec.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/error.h"
#include "common/names.h"

namespace attune::core {
namespace {

using storage::DpoOptions;
using storage::EvaluateSpec;
using storage::InfoNceOptions;
using storage::OptimizerKind;
using storage::OptimizerOptions;
using storage::TrainSpec;

constexpr int32_t kDefaultEpochs = 3;
constexpr int32_t kMaxEpochs = 10'000;
constexpr int64_t kMaxSteps = 10'000'000;
constexpr int32_t kDefaultBatchSize = 512;
constexpr int32_t kMaxBatchSize = 65'536;
constexpr size_t kMaxTemplates = 1'000;

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

DpoOptions ResolveDpo(const DpoRequest& request, Checker& checker) {
  const DpoOptions published;
  DpoOptions options = {
      .beta = request.beta.value_or(published.beta),
      .kl_weight = request.kl_weight.value_or(published.kl_weight),
      .label_smoothing =
          request.label_smoothing.value_or(published.label_smoothing)};
  checker.CheckPositive(options.beta, "train.dpo.beta");
  checker.CheckNotNegative(options.kl_weight, "train.dpo.kl_weight");
  checker.Check(options.label_smoothing >= 0 && options.label_smoothing < 0.5,
                "train.dpo.label_smoothing", "must be in [0, 0.5)");
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
  bool infonce = false;
  if (const auto* dpo = std::get_if<DpoRequest>(&request.objective)) {
    spec.objective = ResolveDpo(*dpo, checker);
    spec.average = request.average.value_or(true);
  } else if (const auto* nce =
                 std::get_if<InfoNceRequest>(&request.objective)) {
    infonce = true;
    const InfoNceOptions options = {.kl_weight = nce->kl_weight.value_or(0)};
    checker.CheckNotNegative(options.kl_weight, "train.infonce.kl_weight");
    spec.objective = options;
    spec.average = request.average.value_or(false);
    published.kind = OptimizerKind::kAdamW;
    published.learning_rate = 1e-3;
    published.weight_decay = 0.05;
  } else {
    checker.Fail("train.objective", "choose one: dpo or infonce");
  }
  spec.optimizer = ResolveOptimizer(request.optimizer, published, checker);
  ResolveLength(request, spec, checker);

  spec.batch_size = request.batch_size.value_or(kDefaultBatchSize);
  checker.Check(spec.batch_size >= 1 && spec.batch_size <= kMaxBatchSize,
                "train.batch_size",
                absl::StrCat("must be from 1 to ", kMaxBatchSize));
  spec.micro_batch_size = request.micro_batch_size;
  checker.Check(spec.micro_batch_size >= 0, "train.micro_batch_size",
                "must be 0 (the batch) or above");
  checker.Check(!infonce || spec.micro_batch_size == 0,
                "train.micro_batch_size",
                "the loss of InfoNCE does not split over micro-batches: leave "
                "it unset");
  checker.Check(spec.micro_batch_size <= spec.batch_size,
                "train.micro_batch_size", "must not exceed batch_size");
  spec.checkpoint_every = request.checkpoint_every;
  checker.Check(spec.checkpoint_every.value_or(1) >= 1,
                "train.checkpoint_every", "must be 1 step or above");
  if (absl::Status status = checker.Finish(); !status.ok()) return status;
  return spec;
}

absl::StatusOr<EvaluateSpec> ResolveEvaluateSpec(
    const EvaluateRequest& request) {
  Checker checker;
  checker.Add(ValidateName("evaluate.dataset", request.dataset));
  CheckSelectorGiven(request.model, "evaluate.model", checker);
  CheckTemplates(request.templates, checker);
  if (absl::Status status = checker.Finish(); !status.ok()) return status;
  return EvaluateSpec{.dataset = request.dataset,
                      .model = request.model,
                      .against = request.against,
                      .templates = request.templates,
                      .truncate = request.truncate};
}

double KlWeight(const storage::ObjectiveOptions& objective) {
  return std::visit([](const auto& options) { return options.kl_weight; },
                    objective);
}

std::string ObjectiveName(const storage::ObjectiveOptions& objective) {
  return std::holds_alternative<DpoOptions>(objective) ? "dpo" : "infonce";
}

}  // namespace attune::core
