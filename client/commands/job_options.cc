#include "client/commands/job_options.h"

#include "absl/strings/str_cat.h"
#include "client/commands/context.h"

namespace attune::client {
namespace {

void FillOptimizer(const JobOptions& options, v1::TrainSpec* spec) {
  if (options.optimizer) {
    spec->mutable_optimizer()->set_kind(*options.optimizer == "adamax"
                                            ? v1::Optimizer::KIND_ADAMAX
                                            : v1::Optimizer::KIND_ADAMW);
  }
  if (options.learning_rate) {
    spec->mutable_optimizer()->set_learning_rate(*options.learning_rate);
  }
  if (options.weight_decay) {
    spec->mutable_optimizer()->set_weight_decay(*options.weight_decay);
  }
  if (options.warmup_ratio) {
    spec->mutable_optimizer()->set_warmup_ratio(*options.warmup_ratio);
  }
  if (options.schedule) {
    spec->mutable_optimizer()->set_schedule(
        *options.schedule == "cosine" ? v1::Optimizer::SCHEDULE_COSINE
                                      : v1::Optimizer::SCHEDULE_CONSTANT);
  }
}

absl::Status FillObjective(const JobOptions& options, v1::TrainSpec* spec) {
  if (options.objective == "dpo") {
    v1::DpoObjective& dpo = *spec->mutable_dpo();
    if (options.beta) dpo.set_beta(*options.beta);
    if (options.kl_weight) dpo.set_kl_weight(*options.kl_weight);
    if (options.label_smoothing) {
      dpo.set_label_smoothing(*options.label_smoothing);
    }
    return absl::OkStatus();
  }
  const char* foreign = options.beta              ? "--beta"
                        : options.label_smoothing ? "--label-smoothing"
                                                  : nullptr;
  if (foreign != nullptr) {
    return UsageError(absl::StrCat(foreign, " belongs to --objective dpo, not ",
                                   options.objective, ": leave it out"));
  }
  v1::InfoNceObjective& infonce = *spec->mutable_infonce();
  if (options.kl_weight) infonce.set_kl_weight(*options.kl_weight);
  return absl::OkStatus();
}

}  // namespace

void AddJobOptions(CLI::App& command, JobOptions& options) {
  command.add_option("--dataset", options.dataset, "A sealed dataset")
      ->required();
  command
      .add_option("--model", options.model,
                  "Version to start from, also the reference: NAME, NAME:N or "
                  "NAME@ALIAS")
      ->required();
  command
      .add_option("--output-model", options.output_model,
                  "Model that gets the new versions; made when missing")
      ->required();
  command
      .add_option("--objective", options.objective,
                  "dpo (preference pairs) or infonce (captions)")
      ->check(CLI::IsMember({"dpo", "infonce"}))
      ->capture_default_str();
  command.add_option("--beta", options.beta,
                     "DPO: strength of the preference, > 0 [1]");
  command.add_option("--kl-weight", options.kl_weight,
                     "Weight of the KL to the reference on clean examples, "
                     ">= 0 [dpo 1, infonce 0]");
  command.add_option("--label-smoothing", options.label_smoothing,
                     "DPO: share of flipped preferences, in [0, 0.5) [0]");
  command
      .add_option("--optimizer", options.optimizer,
                  "adamax or adamw [dpo adamax, infonce adamw]")
      ->check(CLI::IsMember({"adamax", "adamw"}));
  command.add_option("--learning-rate", options.learning_rate,
                     "> 0 [dpo 2e-5, infonce 1e-3]");
  command.add_option("--weight-decay", options.weight_decay,
                     ">= 0 [dpo 0, infonce 0.05]");
  command.add_option("--warmup-ratio", options.warmup_ratio,
                     "Share of the steps that warm up, in [0, 1) [0]");
  command
      .add_option("--schedule", options.schedule, "cosine or constant [cosine]")
      ->check(CLI::IsMember({"cosine", "constant"}));
  CLI::Option* epochs = command.add_option("--epochs", options.epochs,
                                           "Passes over the examples [3]");
  command
      .add_option("--steps", options.steps,
                  "Optimizer steps, instead of --epochs")
      ->excludes(epochs);
  command.add_option("--batch-size", options.batch_size,
                     "Examples of an optimizer step [512]");
  command.add_option("--micro-batch", options.micro_batch,
                     "Examples computed at a time; 0: the whole batch [0]");
  command.add_option("--seed", options.seed, "Of everything random [0]");
  command.add_flag("--freeze-logit-scale", options.freeze_logit_scale,
                   "Do not train the logit scale");
  // The count is negative for --no-average; without either, nothing runs.
  command.add_flag_function(
      "--average,!--no-average",
      [&options](int64_t count) { options.average = count > 0; },
      "Also make the average over the run [dpo yes, infonce no]");
  command.add_option("--checkpoint-every", options.checkpoint_every,
                     "Steps between checkpoints [an epoch]");
  command.add_option("--eval-dataset", options.eval_dataset,
                     "A sealed dataset to evaluate on at the end");
  command.add_flag("--truncate", options.truncate,
                   "Cut texts that are longer than the model's context");
}

absl::StatusOr<v1::TrainSpec> ToTrainSpec(const JobOptions& options) {
  v1::TrainSpec spec;
  spec.set_dataset(options.dataset);
  spec.set_base(options.model);
  spec.set_output_model(options.output_model);
  if (absl::Status status = FillObjective(options, &spec); !status.ok()) {
    return status;
  }
  FillOptimizer(options, &spec);
  if (options.epochs) spec.set_epochs(*options.epochs);
  if (options.steps) spec.set_steps(*options.steps);
  if (options.batch_size) spec.set_batch_size(*options.batch_size);
  spec.set_micro_batch_size(options.micro_batch);
  if (options.seed) spec.set_seed(*options.seed);
  spec.set_freeze_logit_scale(options.freeze_logit_scale);
  if (options.average) spec.set_average(*options.average);
  if (options.checkpoint_every) {
    spec.set_checkpoint_every(*options.checkpoint_every);
  }
  spec.set_eval_dataset(options.eval_dataset);
  spec.set_truncate(options.truncate);
  return spec;
}

}  // namespace attune::client
