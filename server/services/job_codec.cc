#include "server/services/job_codec.h"

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/objective_codec.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"

// An optional field of a message as std::optional, and back.
#define ATTUNE_GET_OPTIONAL(message, field) \
  ((message).has_##field() ? std::optional((message).field()) : std::nullopt)
#define ATTUNE_SET_OPTIONAL(message, field, value) \
  if ((value).has_value()) (message).set_##field(*(value))

namespace attune::services {
namespace {

v1::Figure ToProto(const storage::Figure& figure) {
  v1::Figure proto;
  proto.set_name(figure.name);
  proto.set_value(figure.value);
  proto.set_count(figure.count);
  ATTUNE_SET_OPTIONAL(proto, low, figure.low);
  ATTUNE_SET_OPTIONAL(proto, high, figure.high);
  proto.set_class_label(figure.class_label);
  proto.set_attribute(figure.attribute);
  proto.set_group(figure.group);
  proto.set_candidate(figure.candidate);
  return proto;
}

v1::FigureComparison ToProto(const storage::FigureComparison& comparison) {
  v1::FigureComparison proto;
  *proto.mutable_difference() = ToProto(comparison.difference);
  proto.set_only_model(comparison.only_model);
  proto.set_only_against(comparison.only_against);
  ATTUNE_SET_OPTIONAL(proto, p_value, comparison.p_value);
  return proto;
}

v1::Guard ToProto(const storage::GuardOptions& guard) {
  v1::Guard proto;
  proto.mutable_max_drop()->insert(guard.max_drop.begin(),
                                   guard.max_drop.end());
  ATTUNE_SET_OPTIONAL(proto, eval_every, guard.eval_every);
  proto.set_patience(guard.patience);
  proto.set_best_by(guard.best_by);
  return proto;
}

v1::Evaluation ToEvaluationProto(const storage::Evaluation& evaluation,
                                 bool with_parts) {
  v1::Evaluation proto;
  proto.set_job_id(evaluation.job_id);
  *proto.mutable_create_time() = ToProtoTimestamp(evaluation.create_time);
  proto.set_dataset(evaluation.dataset);
  proto.set_dataset_digest(evaluation.dataset_digest);
  proto.set_model(evaluation.model);
  proto.set_against(evaluation.against);
  ATTUNE_SET_OPTIONAL(proto, t, evaluation.t);
  const auto add = [with_parts](const std::vector<storage::Figure>& figures,
                                auto* whole, auto* parts) {
    for (const storage::Figure& figure : figures) {
      if (!figure.of_a_part()) {
        *whole->Add() = ToProto(figure);
      } else if (with_parts) {
        *parts->Add() = ToProto(figure);
      }
    }
  };
  add(evaluation.figures, proto.mutable_figures(),
      proto.mutable_part_figures());
  add(evaluation.against_figures, proto.mutable_against_figures(),
      proto.mutable_against_part_figures());
  for (const storage::FigureComparison& comparison : evaluation.comparisons) {
    if (comparison.difference.of_a_part() && !with_parts) continue;
    *proto.add_comparisons() = ToProto(comparison);
  }
  return proto;
}

absl::StatusOr<core::OptimizerRequest> FromProto(const v1::Optimizer& proto) {
  core::OptimizerRequest request;
  switch (proto.kind()) {
    case v1::Optimizer::KIND_UNSPECIFIED:
      break;
    case v1::Optimizer::KIND_ADAMAX:
      request.kind = storage::OptimizerKind::kAdamax;
      break;
    case v1::Optimizer::KIND_ADAMW:
      request.kind = storage::OptimizerKind::kAdamW;
      break;
    default:
      return InvalidField("train.optimizer.kind", "is unknown");
  }
  switch (proto.schedule()) {
    case v1::Optimizer::SCHEDULE_UNSPECIFIED:
      break;
    case v1::Optimizer::SCHEDULE_COSINE:
      request.schedule = storage::Schedule::kCosine;
      break;
    case v1::Optimizer::SCHEDULE_CONSTANT:
      request.schedule = storage::Schedule::kConstant;
      break;
    default:
      return InvalidField("train.optimizer.schedule", "is unknown");
  }
  request.learning_rate = ATTUNE_GET_OPTIONAL(proto, learning_rate);
  request.weight_decay = ATTUNE_GET_OPTIONAL(proto, weight_decay);
  request.warmup_ratio = ATTUNE_GET_OPTIONAL(proto, warmup_ratio);
  return request;
}

absl::StatusOr<storage::TrainedPart> FromProto(const v1::TrainedPart& proto) {
  storage::TrainedPart part;
  part.last_blocks = proto.last_blocks();
  switch (proto.kind()) {
    case v1::TrainedPart::KIND_UNSPECIFIED:
    case v1::TrainedPart::KIND_ALL:
      break;
    case v1::TrainedPart::KIND_IMAGE:
      part.kind = storage::TrainedKind::kImage;
      break;
    case v1::TrainedPart::KIND_TEXT:
      part.kind = storage::TrainedKind::kText;
      break;
    case v1::TrainedPart::KIND_LAST:
      part.kind = storage::TrainedKind::kLast;
      break;
    case v1::TrainedPart::KIND_HEAD:
      part.kind = storage::TrainedKind::kHead;
      break;
    default:
      return InvalidField("train.trained_part.kind", "is unknown");
  }
  return part;
}

absl::StatusOr<storage::Precision> FromProto(v1::Precision proto) {
  switch (proto) {
    case v1::PRECISION_UNSPECIFIED:
    case v1::PRECISION_FP32:
      return storage::Precision::kFp32;
    case v1::PRECISION_AUTO:
      return storage::Precision::kAuto;
    case v1::PRECISION_BF16:
      return storage::Precision::kBf16;
    default:
      return InvalidField("train.precision", "is unknown");
  }
}

}  // namespace

v1::TrainSpec ToProto(const storage::TrainSpec& spec) {
  v1::TrainSpec proto;
  proto.set_dataset(spec.dataset);
  proto.set_base(spec.base);
  proto.set_output_model(spec.output_model);
  WriteObjective(spec.objective.name, spec.objective.options, &proto);
  v1::Optimizer* optimizer = proto.mutable_optimizer();
  // The enums have the same numbers.
  optimizer->set_kind(static_cast<v1::Optimizer::Kind>(spec.optimizer.kind));
  optimizer->set_schedule(
      static_cast<v1::Optimizer::Schedule>(spec.optimizer.schedule));
  optimizer->set_learning_rate(spec.optimizer.learning_rate);
  optimizer->set_weight_decay(spec.optimizer.weight_decay);
  optimizer->set_warmup_ratio(spec.optimizer.warmup_ratio);
  ATTUNE_SET_OPTIONAL(proto, epochs, spec.epochs);
  ATTUNE_SET_OPTIONAL(proto, steps, spec.steps);
  proto.set_batch_size(spec.batch_size);
  ATTUNE_SET_OPTIONAL(proto, clean_batch_size, spec.clean_batch_size);
  proto.set_micro_batch_size(spec.micro_batch_size);
  proto.set_seed(spec.seed);
  proto.set_freeze_logit_scale(spec.freeze_logit_scale);
  proto.set_average(spec.average);
  ATTUNE_SET_OPTIONAL(proto, checkpoint_every, spec.checkpoint_every);
  proto.set_eval_dataset(spec.eval_dataset);
  proto.set_truncate(spec.truncate);
  v1::TrainedPart* part = proto.mutable_trained_part();
  part->set_kind(static_cast<v1::TrainedPart::Kind>(spec.trained_part.kind));
  part->set_last_blocks(spec.trained_part.last_blocks);
  if (spec.head_penalty.has_value()) {
    proto.mutable_head()->set_penalty(*spec.head_penalty);
  }
  if (spec.guard.has_value()) *proto.mutable_guard() = ToProto(*spec.guard);
  proto.set_precision(static_cast<v1::Precision>(spec.precision));
  return proto;
}

v1::EvaluateSpec ToProto(const storage::EvaluateSpec& spec) {
  v1::EvaluateSpec proto;
  proto.set_dataset(spec.dataset);
  proto.set_model(spec.model);
  proto.set_against(spec.against);
  proto.mutable_templates()->Add(spec.templates.begin(), spec.templates.end());
  proto.set_truncate(spec.truncate);
  proto.mutable_group_by()->Add(spec.group_by.begin(), spec.group_by.end());
  proto.set_seed(spec.seed);
  ATTUNE_SET_OPTIONAL(proto, t, spec.t);
  return proto;
}

v1::Job ToProto(const storage::Job& job) {
  v1::Job proto;
  proto.set_id(job.id);
  // The two enums have the same numbers.
  proto.set_state(static_cast<v1::JobState>(job.state));
  *proto.mutable_create_time() = ToProtoTimestamp(job.create_time);
  if (job.start_time.has_value()) {
    *proto.mutable_start_time() = ToProtoTimestamp(*job.start_time);
  }
  if (job.end_time.has_value()) {
    *proto.mutable_end_time() = ToProtoTimestamp(*job.end_time);
  }
  proto.set_attempt(job.attempt);
  proto.set_failure_count(job.failure_count);
  proto.set_status_message(job.status_message);
  proto.set_step(job.step);
  proto.set_total_steps(job.total_steps);
  proto.set_worker_id(job.worker_id);
  if (const auto* train = std::get_if<storage::TrainSpec>(&job.spec)) {
    *proto.mutable_train() = ToProto(*train);
  } else if (const auto* evaluate =
                 std::get_if<storage::EvaluateSpec>(&job.spec)) {
    *proto.mutable_evaluate() = ToProto(*evaluate);
  }
  proto.mutable_output_versions()->Add(job.output_versions.begin(),
                                       job.output_versions.end());
  proto.set_config_digest(job.config_digest);
  proto.set_retry_of(job.retry_of);
  return proto;
}

v1::MetricRow ToProto(const storage::MetricRow& row) {
  v1::MetricRow proto;
  proto.set_step(row.step);
  proto.set_attempt(row.attempt);
  *proto.mutable_time() = ToProtoTimestamp(row.time);
  proto.set_epoch(row.epoch);
  ATTUNE_SET_OPTIONAL(proto, loss, row.loss);
  ATTUNE_SET_OPTIONAL(proto, objective_loss, row.objective_loss);
  ATTUNE_SET_OPTIONAL(proto, kl, row.kl);
  ATTUNE_SET_OPTIONAL(proto, preferred_log_ratio, row.preferred_log_ratio);
  ATTUNE_SET_OPTIONAL(proto, rejected_log_ratio, row.rejected_log_ratio);
  ATTUNE_SET_OPTIONAL(proto, margin, row.margin);
  ATTUNE_SET_OPTIONAL(proto, pair_accuracy, row.pair_accuracy);
  ATTUNE_SET_OPTIONAL(proto, logit_scale, row.logit_scale);
  ATTUNE_SET_OPTIONAL(proto, learning_rate, row.learning_rate);
  ATTUNE_SET_OPTIONAL(proto, gradient_norm, row.gradient_norm);
  ATTUNE_SET_OPTIONAL(proto, examples_per_second, row.examples_per_second);
  return proto;
}

v1::JobEvent ToProto(const storage::JobEvent& event) {
  v1::JobEvent proto;
  proto.set_number(event.number);
  *proto.mutable_time() = ToProtoTimestamp(event.time);
  proto.set_attempt(event.attempt);
  proto.set_message(event.message);
  return proto;
}

v1::Checkpoint ToProto(const storage::Checkpoint& checkpoint) {
  v1::Checkpoint proto;
  proto.set_step(checkpoint.step);
  proto.set_attempt(checkpoint.attempt);
  *proto.mutable_create_time() = ToProtoTimestamp(checkpoint.create_time);
  int64_t bytes = 0;
  for (const storage::TensorEntry& tensor : checkpoint.manifest) {
    bytes += tensor.size_bytes;
  }
  proto.set_size_bytes(bytes);
  return proto;
}

v1::Evaluation ToProto(const storage::Evaluation& evaluation) {
  return ToEvaluationProto(evaluation, /*with_parts=*/true);
}

v1::Evaluation ToSummaryProto(const storage::Evaluation& evaluation) {
  return ToEvaluationProto(evaluation, /*with_parts=*/false);
}

absl::StatusOr<core::TrainRequest> FromProto(const v1::TrainSpec& spec) {
  core::TrainRequest request;
  request.dataset = spec.dataset();
  request.base = spec.base();
  request.output_model = spec.output_model();
  request.objective = {ObjectiveOf(spec), ReadObjective(spec)};
  absl::StatusOr<core::OptimizerRequest> optimizer =
      FromProto(spec.optimizer());
  if (!optimizer.ok()) return optimizer.status();
  request.optimizer = *optimizer;
  request.epochs = ATTUNE_GET_OPTIONAL(spec, epochs);
  request.steps = ATTUNE_GET_OPTIONAL(spec, steps);
  request.batch_size = ATTUNE_GET_OPTIONAL(spec, batch_size);
  request.clean_batch_size = ATTUNE_GET_OPTIONAL(spec, clean_batch_size);
  request.micro_batch_size = spec.micro_batch_size();
  request.seed = ATTUNE_GET_OPTIONAL(spec, seed);
  request.freeze_logit_scale = spec.freeze_logit_scale();
  request.average = ATTUNE_GET_OPTIONAL(spec, average);
  request.checkpoint_every = ATTUNE_GET_OPTIONAL(spec, checkpoint_every);
  request.eval_dataset = spec.eval_dataset();
  request.truncate = spec.truncate();
  ATTUNE_ASSIGN_OR_RETURN(request.trained_part, FromProto(spec.trained_part()));
  ATTUNE_ASSIGN_OR_RETURN(request.precision, FromProto(spec.precision()));
  if (spec.has_head()) {
    request.head =
        core::HeadRequest{.penalty = ATTUNE_GET_OPTIONAL(spec.head(), penalty)};
  }
  if (spec.has_guard()) {
    request.guard = storage::GuardOptions{
        .max_drop = {spec.guard().max_drop().begin(),
                     spec.guard().max_drop().end()},
        .eval_every = ATTUNE_GET_OPTIONAL(spec.guard(), eval_every),
        .patience = spec.guard().patience(),
        .best_by = spec.guard().best_by()};
  }
  return request;
}

core::EvaluateRequest FromProto(const v1::EvaluateSpec& spec) {
  return {.dataset = spec.dataset(),
          .model = spec.model(),
          .against = spec.against(),
          .templates = {spec.templates().begin(), spec.templates().end()},
          .truncate = spec.truncate(),
          .group_by = {spec.group_by().begin(), spec.group_by().end()},
          .seed = spec.seed(),
          .t = ATTUNE_GET_OPTIONAL(spec, t)};
}

storage::MetricRow FromProto(const v1::MetricRow& row, absl::Time now) {
  storage::MetricRow record;
  record.step = row.step();
  record.time = row.has_time() ? FromProtoTimestamp(row.time()) : now;
  record.epoch = row.epoch();
  record.loss = ATTUNE_GET_OPTIONAL(row, loss);
  record.objective_loss = ATTUNE_GET_OPTIONAL(row, objective_loss);
  record.kl = ATTUNE_GET_OPTIONAL(row, kl);
  record.preferred_log_ratio = ATTUNE_GET_OPTIONAL(row, preferred_log_ratio);
  record.rejected_log_ratio = ATTUNE_GET_OPTIONAL(row, rejected_log_ratio);
  record.margin = ATTUNE_GET_OPTIONAL(row, margin);
  record.pair_accuracy = ATTUNE_GET_OPTIONAL(row, pair_accuracy);
  record.logit_scale = ATTUNE_GET_OPTIONAL(row, logit_scale);
  record.learning_rate = ATTUNE_GET_OPTIONAL(row, learning_rate);
  record.gradient_norm = ATTUNE_GET_OPTIONAL(row, gradient_norm);
  record.examples_per_second = ATTUNE_GET_OPTIONAL(row, examples_per_second);
  return record;
}

storage::Figure FromProto(const v1::Figure& figure) {
  return {.name = figure.name(),
          .value = figure.value(),
          .count = figure.count(),
          .low = ATTUNE_GET_OPTIONAL(figure, low),
          .high = ATTUNE_GET_OPTIONAL(figure, high),
          .class_label = figure.class_label(),
          .attribute = figure.attribute(),
          .group = figure.group(),
          .candidate = figure.candidate()};
}

storage::FigureComparison FromProto(const v1::FigureComparison& comparison) {
  return {.difference = FromProto(comparison.difference()),
          .only_model = comparison.only_model(),
          .only_against = comparison.only_against(),
          .p_value = ATTUNE_GET_OPTIONAL(comparison, p_value)};
}

absl::StatusOr<std::vector<storage::JobState>> FromProto(
    const google::protobuf::RepeatedField<int>& states) {
  std::vector<storage::JobState> records;
  for (int i = 0; i < states.size(); ++i) {
    if (states[i] == v1::JOB_STATE_UNSPECIFIED ||
        !v1::JobState_IsValid(states[i])) {
      return InvalidField(absl::StrCat("states[", i, "]"), "is unknown");
    }
    records.push_back(static_cast<storage::JobState>(states[i]));
  }
  return records;
}

}  // namespace attune::services
