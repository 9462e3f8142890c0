// From a training task as the server gives it to what a trainer takes.

#ifndef ATTUNE_WORKER_TASK_TRAIN_INPUTS_H_
#define ATTUNE_WORKER_TASK_TRAIN_INPUTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/dataset_service.pb.h"
#include "attune/v1/job_service.pb.h"
#include "common/safetensors/clip_layout.h"
#include "worker/task/example_set.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

namespace attune::task {

// REQUIRES: a spec with every default filled in, as a task has.
train::TrainConfig ToTrainConfig(const v1::TrainSpec& spec);

// Whether a job computes in bf16 on a device that has it or not.
// FAILED_PRECONDITION (PRECISION_UNSUPPORTED) when it must and the device does
// not.
absl::StatusOr<bool> UsesBf16(v1::Precision precision, bool device_has_bf16);

// The streams of the spec's objective: pairs or captions, and where they are
// used the candidates and the clean pictures: the clean examples, and of every
// pair its clean twin. Images are numbered as in `examples.images`. Errors
// of TokenRows.
absl::StatusOr<train::TrainingData> ToTrainingData(const v1::TrainSpec& spec,
                                                   const v1::Dataset& dataset,
                                                   const ExampleSet& examples,
                                                   const ClipConfig& config);

// The images that the data names.
std::vector<int64_t> ImagesOf(const train::TrainingData& data);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_TRAIN_INPUTS_H_
