// The objectives of attune.v1.TrainSpec, read from its descriptor: a message
// that is added to the oneof is known everywhere.

#ifndef ATTUNE_COMMON_GRPC_OBJECTIVE_CODEC_H_
#define ATTUNE_COMMON_GRPC_OBJECTIVE_CODEC_H_

#include <vector>

#include "absl/strings/string_view.h"
#include "attune/v1/job_service.pb.h"
#include "common/objective_schema.h"

namespace attune {

// All objectives in the order of the oneof.
const std::vector<ObjectiveSchema>& ObjectiveSchemas();

// The one of that name; null for an unknown one.
const ObjectiveSchema* FindObjective(absl::string_view name);

// The one that `spec` has; null without one (or with one of a newer build).
const ObjectiveSchema* ObjectiveOf(const v1::TrainSpec& spec);

// The options that are set in the spec's objective.
ObjectiveValues ReadObjective(const v1::TrainSpec& spec);

// Sets the spec's objective and these options of it. What this build does not
// know is left out.
void WriteObjective(absl::string_view name, const ObjectiveValues& values,
                    v1::TrainSpec* spec);

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_OBJECTIVE_CODEC_H_
