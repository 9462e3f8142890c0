#include "worker/task/guard_run.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::task {
namespace {

using Json = nlohmann::json;

// In the state's JSON, and before the names of the best step's tensors.
constexpr char kKey[] = "guard";
constexpr absl::string_view kPrefix = "guard/";

Guard::Options OptionsOf(const v1::TrainSpec& spec) {
  return {.max_drop = {spec.guard().max_drop().begin(),
                       spec.guard().max_drop().end()},
          .best_by = spec.guard().best_by(),
          .patience = spec.guard().patience()};
}

FigureValues ValuesOf(const evaluate::Answers& answers) {
  FigureValues values;
  for (const evaluate::Figure& figure :
       evaluate::PlainFigures(answers.outcomes)) {
    values[figure.name] = figure.value;
  }
  return values;
}

}  // namespace

absl::StatusOr<GuardRun> GuardRun::Start(const v1::TrainSpec& spec,
                                         const content::LoadedVersion& base,
                                         Evaluator& evaluator) {
  ATTUNE_ASSIGN_OR_RETURN(const evaluate::Answers answers,
                          evaluator.Answer(base.config, base.tensors));
  return GuardRun(spec, base, evaluator,
                  Guard(OptionsOf(spec), ValuesOf(answers)));
}

absl::StatusOr<GuardRun> GuardRun::Resume(const v1::TrainSpec& spec,
                                          const content::LoadedVersion& base,
                                          Evaluator& evaluator,
                                          const train::TrainerState& state) {
  const Json json =
      Json::parse(state.json, nullptr, /*allow_exceptions=*/false);
  std::string own;
  if (json.is_object() && json.contains(kKey)) own = json[kKey].dump();
  ATTUNE_ASSIGN_OR_RETURN(Guard guard, Guard::FromJson(OptionsOf(spec), own));
  GuardRun run(spec, base, evaluator, std::move(guard));
  for (const auto& [name, tensor] : state.tensors) {
    absl::string_view own_name = name;
    if (!absl::ConsumePrefix(&own_name, kPrefix)) continue;
    // A linear head is there beside the base's tensors.
    const auto of_base = base.tensors.find(std::string(own_name));
    if (of_base != base.tensors.end() &&
        of_base->second.sizes() != tensor.sizes()) {
      return Error(absl::StatusCode::kDataLoss, "INVALID_CHECKPOINT",
                   absl::StrCat("the checkpoint has a tensor of another "
                                "model: ",
                                name));
    }
    run.best_[std::string(own_name)] =
        tensor.to(base.tensors.begin()->second.device());
  }
  return run;
}

bool GuardRun::Due(const train::Trainer& trainer) const {
  const int64_t every = spec_->guard().has_eval_every()
                            ? spec_->guard().eval_every()
                            : trainer.steps_per_epoch();
  return trainer.step() % every == 0 || trainer.step() == trainer.total_steps();
}

absl::StatusOr<std::string> GuardRun::Evaluate(const train::Trainer& trainer) {
  ATTUNE_ASSIGN_OR_RETURN(model::Tensors tensors, Present(trainer));
  ATTUNE_ASSIGN_OR_RETURN(const evaluate::Answers answers,
                          evaluator_->Answer(base_->config, tensors));
  Guard::Verdict verdict = guard_.Judge(trainer.step(), ValuesOf(answers));
  if (verdict.best) {
    best_ = std::move(tensors);
    std::erase_if(best_, [this](const auto& entry) {
      const auto of_base = base_->tensors.find(entry.first);
      return of_base != base_->tensors.end() &&
             entry.second.data_ptr() == of_base->second.data_ptr();
    });
  }
  return std::move(verdict.sentence);
}

absl::Status GuardRun::AddTo(train::TrainerState& state) const {
  Json json = Json::parse(state.json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InternalError("the state is no object");
  json[kKey] = Json::parse(guard_.ToJson());
  state.json = json.dump();
  for (const auto& [name, tensor] : best_) {
    state.tensors[absl::StrCat(kPrefix, name)] = tensor;
  }
  return absl::OkStatus();
}

absl::StatusOr<model::Tensors> GuardRun::FirstOutput(
    const train::Trainer& trainer) const {
  if (!guard_.best_step().has_value()) return Present(trainer);
  model::Tensors tensors = base_->tensors;
  for (const auto& [name, tensor] : best_) tensors[name] = tensor;
  return tensors;
}

absl::StatusOr<model::Tensors> GuardRun::Present(
    const train::Trainer& trainer) const {
  return spec_->average() ? trainer.AverageWeights() : trainer.LastWeights();
}

}  // namespace attune::task
