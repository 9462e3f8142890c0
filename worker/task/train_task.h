#ifndef ATTUNE_WORKER_TASK_TRAIN_TASK_H_
#define ATTUNE_WORKER_TASK_TRAIN_TASK_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/worker_service.pb.h"
#include "worker/task/task_context.h"

namespace attune::task {

// Trains from the task's checkpoint, or from the base, to the end: reports
// every step, stores checkpoints and at last the output versions' tensors.
//
// CANCELLED when an order ended it; unless that was a cancellation, its state
// is stored then. ABORTED (LEASE_LOST); errors of Trainer, PixelStore::Load,
// LoadVersion and Evaluator. Checkpoints that are damaged, gone or outdated are
// reported and left for the one before.
absl::StatusOr<v1::TrainResult> RunTrainTask(const TaskContext& context,
                                             const v1::TrainTask& task,
                                             int attempt);

// Whether a checkpoint that could not be restored is itself at fault: damaged,
// gone or of an older form than this build reads. Kept, an outdated one would
// end every attempt, and those of every retry, once no worker is of that build
// any more. An error of the device or of LibTorch is not its fault, nor is a
// mismatch: another worker may be of the newer build that wrote it.
bool IsFaultOfCheckpoint(const absl::Status& restored);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_TRAIN_TASK_H_
