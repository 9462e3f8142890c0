// A run's state in and out of a trainer.

#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/model/torch_status.h"
#include "worker/train/trainer.h"

namespace attune::train {
namespace {

using Json = nlohmann::json;

// Raised when a state of an older build would mean something else. Such a state
// is of no use any more: newer builds do not read it.
constexpr int kFormat = 2;

Json ObjectiveIdentity(const TrainConfig& config) {
  Json identity = config.objective.options;
  identity["name"] = config.objective.name;
  identity["kl_weight"] = config.kl_weight;
  return identity;
}

Json OptimizerIdentity(const OptimizerOptions& options) {
  return {{"name", options.kind == OptimizerOptions::Kind::kAdamax ? "adamax"
                                                                   : "adamw"},
          {"beta1", options.beta1},
          {"beta2", options.beta2},
          {"epsilon", options.epsilon},
          {"weight_decay", options.weight_decay}};
}

Json ScheduleIdentity(const Schedule& schedule) {
  return {{"name",
           schedule.kind == Schedule::Kind::kCosine ? "cosine" : "constant"},
          {"learning_rate", schedule.learning_rate},
          {"warmup_ratio", schedule.warmup_ratio}};
}

absl::Status InvalidCheckpoint(absl::string_view message) {
  return Error(
      absl::StatusCode::kDataLoss, "INVALID_CHECKPOINT",
      absl::StrCat("the checkpoint ", message, "; go on from an earlier one"));
}

}  // namespace

std::string Trainer::Identity() const {
  const Json identity = {
      {"objective", ObjectiveIdentity(config_)},
      {"optimizer", OptimizerIdentity(config_.optimizer)},
      {"schedule", ScheduleIdentity(config_.schedule)},
      {"batch_size", gradient_.batch_size()},
      {"clean_batch_size", gradient_.clean_batch_size()},
      {"micro_batch_size", config_.micro_batch_size},
      {"seed", config_.seed},
      {"total_steps", total_steps_},
      {"freeze_logit_scale", config_.freeze_logit_scale},
      {"trained_part", static_cast<int>(config_.trained_part.kind)},
      {"last_blocks", config_.trained_part.last_blocks},
      {"head_penalty",
       TrainsHead(config_) ? Json(config_.head.penalty) : Json()},
      {"average", config_.average},
      {"pairs", data_.pairs.size()},
      {"captions", data_.captions.size()},
      {"clean_images", data_.clean_images.size()},
      {"texts", data_.texts.size()},
      {"candidates", data_.candidates.size()}};
  return identity.dump();
}

std::map<std::string, at::Tensor> Trainer::Buffers() const {
  std::map<std::string, at::Tensor> buffers = {
      {"weights", parameters_.flat()},
      {optimizer_.first_moment_name(), optimizer_.first_moment()},
      {optimizer_.second_moment_name(), optimizer_.second_moment()}};
  if (average_.defined()) buffers["average"] = average_;
  return buffers;
}

absl::StatusOr<TrainerState> Trainer::SaveState() const {
  return model::CatchTorchErrors([&]() -> absl::StatusOr<TrainerState> {
    TrainerState state;
    for (const auto& [prefix, buffer] : Buffers()) {
      const at::Tensor copy =
          buffer.to(at::kCPU, buffer.scalar_type(), /*non_blocking=*/false,
                    /*copy=*/true);
      for (const FlatParameters::Slot& slot : parameters_.slots()) {
        state.tensors[absl::StrCat(prefix, "/", slot.name)] =
            FlatParameters::View(copy, slot);
      }
    }
    state.json = Json({{"format", kFormat},
                       {"step", step_},
                       {"run", Json::parse(Identity())}})
                     .dump();
    return state;
  });
}

absl::Status Trainer::Restore(const TrainerState& state) {
  return model::CatchTorchErrors([&] { return RestoreOrThrow(state); });
}

absl::Status Trainer::RestoreOrThrow(const TrainerState& state) {
  const Json json =
      Json::parse(state.json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("format") ||
      !json["format"].is_number_integer()) {
    return InvalidCheckpoint("has no readable state");
  }
  const auto format = json["format"].get<int64_t>();
  if (format < kFormat) {
    return Error(absl::StatusCode::kFailedPrecondition, "CHECKPOINT_OUTDATED",
                 "the checkpoint was written by an older version of the "
                 "program, in a form that this one does not read");
  }
  if (format > kFormat) {
    return Error(absl::StatusCode::kFailedPrecondition, "CHECKPOINT_MISMATCH",
                 "the checkpoint was written by a newer version of the "
                 "program: give the job to a worker of that version, or create "
                 "it anew");
  }
  if (!json.contains("run") || !json["run"].is_object() ||
      !json.contains("step") || !json["step"].is_number_integer()) {
    return InvalidCheckpoint("has no readable state");
  }
  const Json own = Json::parse(Identity());
  for (const auto& [key, value] : own.items()) {
    if (json["run"].value(key, Json()) == value) continue;
    return Error(
        absl::StatusCode::kFailedPrecondition, "CHECKPOINT_MISMATCH",
        absl::StrCat("the checkpoint belongs to another run: its ", key, " is ",
                     json["run"].value(key, Json()).dump(), ", not ",
                     value.dump()));
  }
  const auto step = json["step"].get<int64_t>();
  if (step < 0 || step > total_steps_) {
    return InvalidCheckpoint(
        absl::StrCat("is of step ", step, " of ", total_steps_));
  }
  const at::NoGradGuard no_grad;
  for (const auto& [prefix, buffer] : Buffers()) {
    for (const FlatParameters::Slot& slot : parameters_.slots()) {
      const std::string name = absl::StrCat(prefix, "/", slot.name);
      const auto found = state.tensors.find(name);
      if (found == state.tensors.end()) {
        return InvalidCheckpoint(absl::StrCat("lacks the tensor ", name));
      }
      if (found->second.sizes() != slot.view.sizes() ||
          found->second.scalar_type() != at::kFloat) {
        return InvalidCheckpoint(
            absl::StrCat("has a tensor of a wrong shape or type: ", name));
      }
      FlatParameters::View(buffer, slot).copy_(found->second);
    }
  }
  beta_average_.Seek(step);
  step_ = step;
  return absl::OkStatus();
}

}  // namespace attune::train
