#include "client/commands/job_options.h"

#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/commands/context.h"
#include "common/grpc/objective_codec.h"

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

// The flag of an option: "kl-weight" of "kl_weight".
std::string Kebab(absl::string_view name) {
  return absl::StrReplaceAll(name, {{"_", "-"}});
}

// The objectives that have an option of that name.
std::vector<std::string> Owners(absl::string_view option_name) {
  std::vector<std::string> owners;
  for (const ObjectiveSchema& objective : ObjectiveSchemas()) {
    for (const OptionSchema& option : objective.options) {
      if (option.name == option_name) owners.push_back(objective.name);
    }
  }
  return owners;
}

absl::Status FillObjective(const JobOptions& options, v1::TrainSpec* spec) {
  for (const auto& [name, value] : options.objective_options) {
    const std::vector<std::string> owners = Owners(name);
    if (absl::c_linear_search(owners, options.objective)) continue;
    return UsageError(absl::StrCat("--", Kebab(name),
                                   " belongs to --objective ",
                                   absl::StrJoin(owners, " and "), ", not ",
                                   options.objective, ": leave it out"));
  }
  WriteObjective(options.objective, options.objective_options, spec);
  return absl::OkStatus();
}

std::string Bounds(const OptionSchema& option) {
  std::vector<std::string> bounds;
  if (option.above) bounds.push_back(absl::StrCat("> ", *option.above));
  if (option.at_least) bounds.push_back(absl::StrCat(">= ", *option.at_least));
  if (option.below) bounds.push_back(absl::StrCat("< ", *option.below));
  return absl::StrJoin(bounds, " and ");
}

// "NAME VALUE" of every objective, joined.
template <typename Value>
std::string EachDefault(Value value) {
  std::vector<std::string> parts;
  for (const ObjectiveSchema& objective : ObjectiveSchemas()) {
    parts.push_back(absl::StrCat(objective.name, " ", value(objective)));
  }
  return absl::StrCat("[", absl::StrJoin(parts, ", "), "]");
}

// One flag for each name; objectives that share a name share its meaning.
void AddObjectiveOptions(CLI::App& command, JobOptions& options) {
  struct Flag {
    const OptionSchema* option;
    std::vector<std::string> defaults;
  };
  std::vector<Flag> flags;
  std::vector<std::string> names;
  for (const ObjectiveSchema& objective : ObjectiveSchemas()) {
    names.push_back(objective.name);
    for (const OptionSchema& option : objective.options) {
      auto flag = absl::c_find_if(flags, [&](const Flag& known) {
        return known.option->name == option.name;
      });
      if (flag == flags.end()) flag = flags.insert(flag, {&option, {}});
      flag->defaults.push_back(
          absl::StrCat(objective.name, " ", option.default_value));
    }
  }
  command
      .add_option(
          "--objective", options.objective,
          absl::StrCat("What is minimised: ", absl::StrJoin(names, ", ")))
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  for (const Flag& flag : flags) {
    command.add_option_function<double>(
        absl::StrCat("--", Kebab(flag.option->name)),
        [&options, name = flag.option->name](double value) {
          options.objective_options[name] = value;
        },
        absl::StrCat(flag.option->help, ", ", Bounds(*flag.option), " [",
                     absl::StrJoin(flag.defaults, ", "), "]"));
  }
}

absl::Status FillGuard(const JobOptions& options, v1::TrainSpec* spec) {
  if (options.max_drop.empty()) {
    const char* lonely = options.eval_every         ? "--eval-every"
                         : options.patience         ? "--patience"
                         : !options.best_by.empty() ? "--best-by"
                                                    : nullptr;
    if (lonely == nullptr) return absl::OkStatus();
    return UsageError(absl::StrCat(
        lonely, " needs --max-drop, such as --max-drop clean_top1=0.01"));
  }
  v1::Guard& guard = *spec->mutable_guard();
  for (const std::string& text : options.max_drop) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(text, absl::MaxSplits('=', 1));
    double drop = 0;
    if (parts.first.empty() || !absl::SimpleAtod(parts.second, &drop)) {
      return UsageError(absl::StrCat("--max-drop ", text,
                                     ": must be FIGURE=DROP, such as "
                                     "clean_top1=0.01"));
    }
    if (!guard.mutable_max_drop()->insert({parts.first, drop}).second) {
      return UsageError(
          absl::StrCat("--max-drop names ", parts.first, " twice"));
    }
  }
  if (options.eval_every) guard.set_eval_every(*options.eval_every);
  guard.set_patience(options.patience.value_or(0));
  guard.set_best_by(options.best_by);
  return absl::OkStatus();
}

// all, image, text, last:K or head.
absl::Status FillTrainedPart(absl::string_view train, v1::TrainedPart* part) {
  absl::string_view blocks = train;
  int32_t last_blocks = 0;
  if (train == "all") {
    part->set_kind(v1::TrainedPart::KIND_ALL);
  } else if (train == "image") {
    part->set_kind(v1::TrainedPart::KIND_IMAGE);
  } else if (train == "text") {
    part->set_kind(v1::TrainedPart::KIND_TEXT);
  } else if (train == "head") {
    part->set_kind(v1::TrainedPart::KIND_HEAD);
  } else if (absl::ConsumePrefix(&blocks, "last:") &&
             absl::SimpleAtoi(blocks, &last_blocks) && last_blocks >= 1) {
    part->set_kind(v1::TrainedPart::KIND_LAST);
    part->set_last_blocks(last_blocks);
  } else {
    return UsageError(absl::StrCat(
        "--train ", train,
        ": must be all, image, text, last:K with K blocks, 1 or above, or "
        "head"));
  }
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
  AddObjectiveOptions(command, options);
  command
      .add_option("--optimizer", options.optimizer,
                  absl::StrCat("adamax or adamw ",
                               EachDefault([](const auto& objective) {
                                 return objective.adamw ? "adamw" : "adamax";
                               })))
      ->check(CLI::IsMember({"adamax", "adamw"}));
  command.add_option(
      "--learning-rate", options.learning_rate,
      absl::StrCat("> 0 ", EachDefault([](const auto& objective) {
                     return objective.learning_rate;
                   })));
  command.add_option(
      "--weight-decay", options.weight_decay,
      absl::StrCat(">= 0 ", EachDefault([](const auto& objective) {
                     return objective.weight_decay;
                   })));
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
  command.add_option("--clean-batch-size", options.clean_batch_size,
                     "Clean examples beside them, sampled independently; the "
                     "clean twins of pairs come with their pairs "
                     "[as --batch-size]");
  command.add_option("--micro-batch", options.micro_batch,
                     "Examples computed at a time; 0: the whole batch [0]");
  command.add_option("--seed", options.seed, "Of everything random [0]");
  command.add_option(
      "--train", options.train,
      "What is trained: all, image (tower), text (tower), last:K (K blocks of "
      "both towers and what follows) or head (one matrix on top of both "
      "towers; its versions serve a knob, --t) [all]");
  command.add_option("--head-penalty", options.head_penalty,
                     "Of --train head: weight of ||I - W W^T||, >= 0 [0.01]");
  command
      .add_option("--precision", options.precision,
                  "Of matrix products: fp32, bf16 (needs hardware for it) or "
                  "auto (bf16 where the worker has it) [fp32]")
      ->check(CLI::IsMember({"auto", "fp32", "bf16"}));
  command.add_flag("--freeze-logit-scale", options.freeze_logit_scale,
                   "Do not train the logit scale");
  CLI::Option* average = command.add_flag_callback(
      "--average", [&options] { options.average = true; },
      absl::StrCat("Also make the average over the run ",
                   EachDefault([](const auto& objective) {
                     return objective.average ? "yes" : "no";
                   })));
  command
      .add_flag_callback(
          "--no-average", [&options] { options.average = false; },
          "Make the last iterate alone")
      ->excludes(average);
  command.add_option("--checkpoint-every", options.checkpoint_every,
                     "Steps between checkpoints [an epoch]");
  command.add_option("--eval-dataset", options.eval_dataset,
                     "A sealed dataset to evaluate on at the end");
  command
      .add_option("--max-drop", options.max_drop,
                  "FIGURE=DROP: how far a figure on --eval-dataset may fall "
                  "below the base's; may be repeated. The best step that holds "
                  "all bounds is kept")
      ->allow_extra_args(false);
  command.add_option("--eval-every", options.eval_every,
                     "With --max-drop: steps between evaluations [an epoch]");
  command.add_option("--patience", options.patience,
                     "With --max-drop: evaluations without a better one after "
                     "which the job ends early; 0: never [0]");
  command.add_option("--best-by", options.best_by,
                     "With --max-drop: the figure to be good at [attacked_top1 "
                     "if the dataset has it, else pair_accuracy ...]");
  command.add_flag("--truncate", options.truncate,
                   "Cut texts that are longer than the model's context");
}

std::string DescribeObjective(const v1::TrainSpec& spec) {
  const ObjectiveSchema* objective = ObjectiveOf(spec);
  if (objective == nullptr) return "unknown";
  std::string text = objective->name;
  const ObjectiveValues values = objective->WithDefaults(ReadObjective(spec));
  for (const OptionSchema& option : objective->options) {
    absl::StrAppend(&text, ", ", Kebab(option.name), " ",
                    values.at(option.name));
  }
  return text;
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
  if (options.clean_batch_size) {
    spec.set_clean_batch_size(*options.clean_batch_size);
  }
  spec.set_micro_batch_size(options.micro_batch);
  if (options.seed) spec.set_seed(*options.seed);
  if (options.train) {
    absl::Status status =
        FillTrainedPart(*options.train, spec.mutable_trained_part());
    if (!status.ok()) return status;
  }
  if (options.head_penalty) {
    if (options.train != "head") {
      return UsageError("--head-penalty belongs to --train head: leave it out");
    }
    spec.mutable_head()->set_penalty(*options.head_penalty);
  }
  if (options.precision) {
    spec.set_precision(*options.precision == "auto"   ? v1::PRECISION_AUTO
                       : *options.precision == "bf16" ? v1::PRECISION_BF16
                                                      : v1::PRECISION_FP32);
  }
  spec.set_freeze_logit_scale(options.freeze_logit_scale);
  if (options.average) spec.set_average(*options.average);
  if (options.checkpoint_every) {
    spec.set_checkpoint_every(*options.checkpoint_every);
  }
  spec.set_eval_dataset(options.eval_dataset);
  if (absl::Status status = FillGuard(options, &spec); !status.ok()) {
    return status;
  }
  spec.set_truncate(options.truncate);
  return spec;
}

}  // namespace attune::client
