#include "server/services/task_codec.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"
#include "server/services/dataset_codec.h"
#include "server/services/job_codec.h"
#include "server/services/model_codec.h"

namespace attune::services {
namespace {

v1::Dataset ToProto(const storage::Dataset& dataset) {
  return services::ToProto(
      core::DatasetView{.dataset = dataset, .status_message = ""});
}

v1::VersionContent ToProto(const core::VersionContent& content) {
  return ToVersionContent(content.version, content.manifest);
}

v1::CheckpointContent ToContent(const storage::Checkpoint& checkpoint) {
  v1::CheckpointContent content;
  content.set_step(checkpoint.step);
  *content.mutable_manifest() = services::ToProto(checkpoint.manifest);
  content.set_state(checkpoint.state);
  return content;
}

void FillTask(const core::LeasedTask& task, const storage::TrainSpec& spec,
              v1::Task* proto) {
  v1::TrainTask* train = proto->mutable_train();
  *train->mutable_spec() = services::ToProto(spec);
  *train->mutable_dataset() = ToProto(task.dataset);
  *train->mutable_base() = ToProto(*task.model);
  if (task.checkpoint.has_value()) {
    *train->mutable_checkpoint() = ToContent(*task.checkpoint);
  }
  for (const storage::Checkpoint& checkpoint : task.earlier_checkpoints) {
    *train->add_earlier_checkpoints() = ToContent(checkpoint);
  }
  train->set_config_digest(task.job.config_digest);
  if (task.eval_dataset.has_value()) {
    *train->mutable_eval_dataset() = ToProto(*task.eval_dataset);
  }
  for (const storage::StoredEmbeddings& embeddings : task.embeddings) {
    v1::StoredEmbeddings* stored = train->add_embeddings();
    stored->set_variant(embeddings.variant);
    *stored->mutable_manifest() = services::ToProto(embeddings.manifest);
  }
}

void FillTask(const core::LeasedTask& task, const storage::EvaluateSpec& spec,
              v1::Task* proto) {
  v1::EvaluateTask* evaluate = proto->mutable_evaluate();
  *evaluate->mutable_spec() = services::ToProto(spec);
  *evaluate->mutable_dataset() = ToProto(task.dataset);
  *evaluate->mutable_model() = ToProto(*task.model);
  if (task.against.has_value()) {
    *evaluate->mutable_against() = ToProto(*task.against);
  }
}

void FillTask(const core::LeasedTask& task, const storage::ValidateSpec&,
              v1::Task* proto) {
  *proto->mutable_validate()->mutable_dataset() = ToProto(task.dataset);
}

core::EvaluateResult FromProto(const v1::EvaluateResult& proto) {
  core::EvaluateResult result;
  for (const auto* figures : {&proto.figures(), &proto.part_figures()}) {
    for (const v1::Figure& figure : *figures) {
      result.figures.push_back(services::FromProto(figure));
    }
  }
  for (const auto* figures :
       {&proto.against_figures(), &proto.against_part_figures()}) {
    for (const v1::Figure& figure : *figures) {
      result.against_figures.push_back(services::FromProto(figure));
    }
  }
  for (const v1::FigureComparison& comparison : proto.comparisons()) {
    result.comparisons.push_back(services::FromProto(comparison));
  }
  return result;
}

absl::StatusOr<core::TrainResult> FromProto(const v1::TrainResult& proto) {
  core::TrainResult result;
  for (const v1::TrainResult::Output& output : proto.outputs()) {
    storage::VersionSource source;
    switch (output.source()) {
      case v1::Version::SOURCE_AVERAGE:
        source = storage::VersionSource::kAverage;
        break;
      case v1::Version::SOURCE_LAST_ITERATE:
        source = storage::VersionSource::kLastIterate;
        break;
      default:
        return InvalidField(
            absl::StrCat("train.outputs[", result.outputs.size(), "].source"),
            "must be SOURCE_AVERAGE or SOURCE_LAST_ITERATE");
    }
    result.outputs.push_back(
        {.source = source, .manifest = services::FromProto(output.manifest())});
  }
  for (const v1::EvaluateResult& evaluation : proto.evaluations()) {
    result.evaluations.push_back(FromProto(evaluation));
  }
  if (proto.evaluations().empty() && proto.has_evaluation()) {
    result.evaluations.push_back(FromProto(proto.evaluation()));
  }
  if (proto.has_steps_done()) result.steps_done = proto.steps_done();
  result.note = proto.note();
  if (proto.has_embeddings()) {
    result.embeddings = storage::StoredEmbeddings{
        .variant = proto.embeddings().variant(),
        .manifest = services::FromProto(proto.embeddings().manifest())};
  }
  return result;
}

core::ValidateResult FromProto(const v1::ValidateResult& proto) {
  core::ValidateResult result;
  for (const v1::InvalidExample& invalid : proto.invalid_examples()) {
    result.invalid_examples.push_back(
        {.example = invalid.example(), .reason = invalid.reason()});
  }
  result.invalid_example_count = proto.invalid_example_count();
  return result;
}

}  // namespace

v1::Task ToProto(const core::LeasedTask& task) {
  v1::Task proto;
  proto.set_lease_token(task.lease_token);
  proto.set_id(core::TaskName(task.job));
  proto.set_attempt(task.job.attempt);
  std::visit([&](const auto& spec) { FillTask(task, spec, &proto); },
             task.job.spec);
  return proto;
}

v1::Worker ToProto(const core::Worker& worker) {
  v1::Worker proto;
  proto.set_id(worker.id);
  // The enums have the same numbers.
  proto.set_state(static_cast<v1::WorkerState>(worker.state));
  for (const core::WorkerRole role : worker.roles) {
    proto.add_roles(static_cast<v1::WorkerRole>(role));
  }
  proto.mutable_device()->set_kind(worker.device.kind);
  proto.mutable_device()->set_name(worker.device.name);
  proto.mutable_device()->set_memory_bytes(worker.device.memory_bytes);
  proto.set_build(worker.build);
  *proto.mutable_register_time() = ToProtoTimestamp(worker.register_time);
  *proto.mutable_last_seen_time() = ToProtoTimestamp(worker.last_seen_time);
  proto.set_task(worker.task);
  proto.mutable_loaded_versions()->Add(worker.loaded_versions.begin(),
                                       worker.loaded_versions.end());
  return proto;
}

absl::StatusOr<core::TaskResult> FromProto(
    const v1::CompleteTaskRequest& request) {
  switch (request.result_case()) {
    case v1::CompleteTaskRequest::kTrain: {
      ATTUNE_ASSIGN_OR_RETURN(core::TrainResult result,
                              FromProto(request.train()));
      return result;
    }
    case v1::CompleteTaskRequest::kEvaluate:
      return FromProto(request.evaluate());
    case v1::CompleteTaskRequest::kValidate:
      return FromProto(request.validate());
    case v1::CompleteTaskRequest::RESULT_NOT_SET:
      break;
  }
  return InvalidField("result", "must be one of train, evaluate and validate");
}

absl::StatusOr<core::FailureKind> FromProto(v1::FailTaskRequest::Kind kind) {
  switch (kind) {
    case v1::FailTaskRequest::KIND_RETRYABLE:
      return core::FailureKind::kRetryable;
    case v1::FailTaskRequest::KIND_PERMANENT:
      return core::FailureKind::kPermanent;
    case v1::FailTaskRequest::KIND_HAND_BACK:
      return core::FailureKind::kHandBack;
    default:
      return InvalidField("kind", "must be set");
  }
}

absl::StatusOr<std::vector<core::WorkerRole>> FromProto(
    const v1::RegisterRequest& request) {
  std::vector<core::WorkerRole> roles;
  for (const int role : request.roles()) {
    if (role != v1::WORKER_ROLE_TRAIN && role != v1::WORKER_ROLE_SERVE) {
      return InvalidField(absl::StrCat("roles[", roles.size(), "]"),
                          "is unknown");
    }
    roles.push_back(static_cast<core::WorkerRole>(role));
  }
  return roles;
}

}  // namespace attune::services
