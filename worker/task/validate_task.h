#ifndef ATTUNE_WORKER_TASK_VALIDATE_TASK_H_
#define ATTUNE_WORKER_TASK_VALIDATE_TASK_H_

#include "absl/status/statusor.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/task/task_context.h"

namespace attune::task {

// Decodes every picture of a dataset once and reports those that cannot be
// decoded, by example. Errors of ReadExampleSet and GetBlobs.
absl::StatusOr<v1::ValidateResult> RunValidateTask(
    const TaskContext& context, const v1::ValidateTask& task);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_VALIDATE_TASK_H_
