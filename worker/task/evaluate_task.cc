#include "worker/task/evaluate_task.h"

#include <cstdint>

#include "common/status_macros.h"
#include "worker/content/version_loader.h"
#include "worker/task/evaluator.h"

namespace attune::task {

absl::StatusOr<v1::EvaluateResult> RunEvaluateTask(
    const TaskContext& context, const v1::EvaluateTask& task) {
  const v1::EvaluateSpec& spec = task.spec();
  ATTUNE_ASSIGN_OR_RETURN(
      Evaluator evaluator,
      Evaluator::Create(
          context, task.dataset(),
          {.templates = {spec.templates().begin(), spec.templates().end()},
           .truncate = spec.truncate(),
           .group_by = {spec.group_by().begin(), spec.group_by().end()},
           .seed = static_cast<uint64_t>(spec.seed())}));
  ATTUNE_ASSIGN_OR_RETURN(
      const content::LoadedVersion model,
      content::LoadVersion(context.connection, task.model(), context.device));
  ATTUNE_ASSIGN_OR_RETURN(
      const evaluate::Answers answers,
      spec.has_t() ? evaluator.Answer(model.config, model.tensors, spec.t())
                   : evaluator.Answer(model.config, model.tensors));
  if (!task.has_against()) return ToResult(evaluator.Report(answers, nullptr));
  ATTUNE_ASSIGN_OR_RETURN(
      const content::LoadedVersion against,
      content::LoadVersion(context.connection, task.against(), context.device,
                           model.by_digest));
  ATTUNE_ASSIGN_OR_RETURN(const evaluate::Answers others,
                          evaluator.Answer(against.config, against.tensors));
  return ToResult(evaluator.Report(answers, &others));
}

}  // namespace attune::task
