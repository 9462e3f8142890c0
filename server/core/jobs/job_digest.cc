#include "server/core/jobs/job_digest.h"

#include <optional>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/digest.h"
#include "server/core/models/linear_head.h"

namespace attune::core {
namespace {

// "name=length:value" lines: no two specs write the same text.
class FieldList {
 public:
  void Add(absl::string_view name, absl::string_view value) {
    absl::StrAppend(&text_, name, "=", value.size(), ":", value, "\n");
  }
  // Seventeen significant digits tell all doubles apart.
  void Add(absl::string_view name, double value) {
    Add(name, absl::StrFormat("%.17g", value));
  }
  void Add(absl::string_view name, int64_t value) {
    Add(name, absl::StrCat(value));
  }
  template <typename Integer>
  void Add(absl::string_view name, const std::optional<Integer>& value) {
    Add(name, value.has_value() ? absl::StrCat(*value) : std::string("none"));
  }
  std::string Digest() const { return Sha256Hex(text_); }

 private:
  std::string text_;
};

void AddSpec(const storage::TrainSpec& spec, FieldList& fields) {
  fields.Add("kind", "train");
  fields.Add("dataset", spec.dataset);
  fields.Add("base", spec.base);
  fields.Add("output_model", spec.output_model);
  fields.Add("objective", spec.objective.name);
  for (const auto& [name, value] : spec.objective.options) {
    fields.Add(name, value);
  }
  fields.Add("optimizer", static_cast<int64_t>(spec.optimizer.kind));
  fields.Add("learning_rate", spec.optimizer.learning_rate);
  fields.Add("weight_decay", spec.optimizer.weight_decay);
  fields.Add("warmup_ratio", spec.optimizer.warmup_ratio);
  fields.Add("schedule", static_cast<int64_t>(spec.optimizer.schedule));
  fields.Add("epochs", spec.epochs);
  fields.Add("steps", spec.steps);
  fields.Add("batch_size", static_cast<int64_t>(spec.batch_size));
  fields.Add("clean_batch_size", spec.clean_batch_size);
  fields.Add("micro_batch_size", static_cast<int64_t>(spec.micro_batch_size));
  fields.Add("seed", spec.seed);
  fields.Add("freeze_logit_scale",
             static_cast<int64_t>(spec.freeze_logit_scale));
  fields.Add("average", static_cast<int64_t>(spec.average));
  fields.Add("checkpoint_every", spec.checkpoint_every);
  fields.Add("eval_dataset", spec.eval_dataset);
  fields.Add("truncate", static_cast<int64_t>(spec.truncate));
  // Only what differs from the default: jobs from before a field keep their
  // digest.
  if (spec.trained_part != storage::TrainedPart()) {
    fields.Add("trained_part", static_cast<int64_t>(spec.trained_part.kind));
  }
  if (spec.trained_part.last_blocks != 0) {
    fields.Add("last_blocks",
               static_cast<int64_t>(spec.trained_part.last_blocks));
  }
  if (spec.head_penalty.has_value()) {
    fields.Add("head_penalty", *spec.head_penalty);
  }
  if (spec.guard.has_value()) {
    for (const auto& [figure, drop] : spec.guard->max_drop) {
      fields.Add("guard.figure", figure);
      fields.Add("guard.max_drop", drop);
    }
    fields.Add("guard.eval_every", spec.guard->eval_every);
    fields.Add("guard.patience", static_cast<int64_t>(spec.guard->patience));
    fields.Add("guard.best_by", spec.guard->best_by);
  }
  if (spec.precision != storage::Precision::kFp32) {
    fields.Add("precision", static_cast<int64_t>(spec.precision));
  }
}

void AddSpec(const storage::EvaluateSpec& spec, FieldList& fields) {
  fields.Add("kind", "evaluate");
  fields.Add("dataset", spec.dataset);
  fields.Add("model", spec.model);
  fields.Add("against", spec.against);
  for (const std::string& text : spec.templates) fields.Add("template", text);
  fields.Add("truncate", static_cast<int64_t>(spec.truncate));
  for (const std::string& key : spec.group_by) fields.Add("group_by", key);
  fields.Add("seed", spec.seed);
  // What was trained is no field: jobs of a head made before there was a knob
  // keep their digest.
  if (spec.t.value_or(kTrainedKnob) != kTrainedKnob) fields.Add("t", *spec.t);
}

void AddSpec(const storage::ValidateSpec& spec, FieldList& fields) {
  fields.Add("kind", "validate");
  fields.Add("dataset", spec.dataset);
}

}  // namespace

std::string ConfigDigest(const storage::JobSpec& spec,
                         const std::vector<std::string>& input_digests) {
  FieldList fields;
  std::visit([&](const auto& value) { AddSpec(value, fields); }, spec);
  for (const std::string& digest : input_digests) fields.Add("input", digest);
  return fields.Digest();
}

}  // namespace attune::core
