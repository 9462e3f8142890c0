#ifndef ATTUNE_WORKER_TASK_EVALUATE_TASK_H_
#define ATTUNE_WORKER_TASK_EVALUATE_TASK_H_

#include "absl/status/statusor.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/task/task_context.h"

namespace attune::task {

// The figures of a version and, where there is one, of the version that it is
// compared with. Errors of Evaluator and LoadVersion.
absl::StatusOr<v1::EvaluateResult> RunEvaluateTask(
    const TaskContext& context, const v1::EvaluateTask& task);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_EVALUATE_TASK_H_
