#include "worker/task/evaluate_task.h"

#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "worker/content/version_loader.h"
#include "worker/task/evaluator.h"

namespace attune::task {

absl::StatusOr<v1::EvaluateResult> RunEvaluateTask(
    const TaskContext& context, const v1::EvaluateTask& task) {
  ATTUNE_ASSIGN_OR_RETURN(
      Evaluator evaluator,
      Evaluator::Create(context, task.dataset(),
                        {.templates = {task.spec().templates().begin(),
                                       task.spec().templates().end()},
                         .truncate = task.spec().truncate()}));
  v1::EvaluateResult result;
  ATTUNE_ASSIGN_OR_RETURN(
      const content::LoadedVersion model,
      content::LoadVersion(context.connection, task.model(), context.device));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<evaluate::Figure> figures,
                          evaluator.Figures(model.config, model.tensors));
  AppendFigures(figures, result.mutable_figures());
  if (task.has_against()) {
    ATTUNE_ASSIGN_OR_RETURN(
        const content::LoadedVersion against,
        content::LoadVersion(context.connection, task.against(), context.device,
                             model.by_digest));
    ATTUNE_ASSIGN_OR_RETURN(const std::vector<evaluate::Figure> others,
                            evaluator.Figures(against.config, against.tensors));
    AppendFigures(others, result.mutable_against_figures());
  }
  return result;
}

}  // namespace attune::task
