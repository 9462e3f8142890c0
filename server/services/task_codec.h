// Tasks and their results between core and attune.v1.

#ifndef ATTUNE_SERVER_SERVICES_TASK_CODEC_H_
#define ATTUNE_SERVER_SERVICES_TASK_CODEC_H_

#include "absl/status/statusor.h"
#include "attune/v1/worker_service.pb.h"
#include "server/core/leases/leased_task.h"
#include "server/core/leases/task_reports.h"
#include "server/core/leases/worker_registry.h"

namespace attune::services {

v1::Task ToProto(const core::LeasedTask& task);
v1::Worker ToProto(const core::Worker& worker);

// INVALID_ARGUMENT without a result, or with an output of unknown source.
absl::StatusOr<core::TaskResult> FromProto(
    const v1::CompleteTaskRequest& request);
// INVALID_ARGUMENT for an unknown kind.
absl::StatusOr<core::FailureKind> FromProto(v1::FailTaskRequest::Kind kind);
// INVALID_ARGUMENT for an unknown role.
absl::StatusOr<std::vector<core::WorkerRole>> FromProto(
    const v1::RegisterRequest& request);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_TASK_CODEC_H_
