// Jobs, their specs, progress and figures between core and attune.v1.

#ifndef ATTUNE_SERVER_SERVICES_JOB_CODEC_H_
#define ATTUNE_SERVER_SERVICES_JOB_CODEC_H_

#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/job_service.pb.h"
#include "server/core/jobs/train_spec.h"
#include "storage/records.h"

namespace attune::services {

v1::TrainSpec ToProto(const storage::TrainSpec& spec);
v1::EvaluateSpec ToProto(const storage::EvaluateSpec& spec);
v1::Job ToProto(const storage::Job& job);
v1::MetricRow ToProto(const storage::MetricRow& row);
v1::JobEvent ToProto(const storage::JobEvent& event);
// Without the tensors.
v1::Checkpoint ToProto(const storage::Checkpoint& checkpoint);
v1::Evaluation ToProto(const storage::Evaluation& evaluation);
// Without the figures of parts.
v1::Evaluation ToSummaryProto(const storage::Evaluation& evaluation);

// INVALID_ARGUMENT naming an enum whose value is unknown.
absl::StatusOr<core::TrainRequest> FromProto(const v1::TrainSpec& spec);
core::EvaluateRequest FromProto(const v1::EvaluateSpec& spec);
// A row without a time gets `now`.
storage::MetricRow FromProto(const v1::MetricRow& row, absl::Time now);
storage::Figure FromProto(const v1::Figure& figure);
storage::FigureComparison FromProto(const v1::FigureComparison& comparison);
absl::StatusOr<std::vector<storage::JobState>> FromProto(
    const google::protobuf::RepeatedField<int>& states);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_JOB_CODEC_H_
