// What a caller asks of a job, and the spec that comes of it once every default
// is filled in and every value is checked.

#ifndef ATTUNE_SERVER_CORE_JOBS_TRAIN_SPEC_H_
#define ATTUNE_SERVER_CORE_JOBS_TRAIN_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/objective_schema.h"
#include "common/safetensors/clip_layout.h"
#include "storage/job_spec.h"

namespace attune::core {

// Options that are not given take the published values of the objective.
struct ObjectiveRequest {
  // Outlives the request; null: none was chosen.
  const ObjectiveSchema* schema = nullptr;
  ObjectiveValues options;
};

struct OptimizerRequest {
  std::optional<storage::OptimizerKind> kind;
  std::optional<double> learning_rate;
  std::optional<double> weight_decay;
  std::optional<double> warmup_ratio;
  std::optional<storage::Schedule> schedule;
};

struct HeadRequest {
  std::optional<double> penalty;
};

struct TrainRequest {
  std::string dataset;
  std::string base;  // selector
  std::string output_model;
  ObjectiveRequest objective;
  OptimizerRequest optimizer;
  std::optional<int32_t> epochs;
  std::optional<int64_t> steps;
  std::optional<int32_t> batch_size;
  std::optional<int32_t> clean_batch_size;
  int32_t micro_batch_size = 0;
  std::optional<int64_t> seed;
  bool freeze_logit_scale = false;
  std::optional<bool> average;
  std::optional<int64_t> checkpoint_every;
  std::string eval_dataset;
  bool truncate = false;
  storage::TrainedPart trained_part;
  std::optional<HeadRequest> head;
  std::optional<storage::GuardOptions> guard;
  storage::Precision precision = storage::Precision::kFp32;
};

struct EvaluateRequest {
  std::string dataset;
  std::string model;    // selector
  std::string against;  // selector or "": the base of the lineage
  std::vector<std::string> templates;
  bool truncate = false;
  std::vector<std::string> group_by = {};
  int64_t seed = 0;
  std::optional<double> t = {};
};

// INVALID_ARGUMENT naming every field that is wrong, such as
// "train.optimizer.learning_rate". Selectors are taken over as they are:
// JobManager pins them. A number of epochs or steps of 0 counts as unset when
// the other is given.
absl::StatusOr<storage::TrainSpec> ResolveTrainSpec(
    const TrainRequest& request);
absl::StatusOr<storage::EvaluateSpec> ResolveEvaluateSpec(
    const EvaluateRequest& request);

// INVALID_ARGUMENT naming "train.trained_part.last_blocks" where neither tower
// of the base has so many blocks.
absl::Status CheckTrainedPart(const storage::TrainedPart& part,
                              const ClipConfig& base);

// λ of the objective.
double KlWeight(const storage::Objective& objective);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_JOBS_TRAIN_SPEC_H_
