#include "server/services/worker_service.h"

#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"
#include "server/services/blob_streams.h"
#include "server/services/job_codec.h"
#include "server/services/lease_call.h"
#include "server/services/model_codec.h"
#include "server/services/stream_call.h"
#include "server/services/task_codec.h"
#include "server/services/unary_call.h"

namespace attune::services {
namespace {

constexpr absl::string_view kService = "WorkerService";

v1::HeartbeatResponse::Wish ToProto(core::Wish wish) {
  switch (wish) {
    case core::Wish::kContinue:
      return v1::HeartbeatResponse::WISH_CONTINUE;
    case core::Wish::kPause:
      return v1::HeartbeatResponse::WISH_PAUSE;
    case core::Wish::kCancel:
      return v1::HeartbeatResponse::WISH_CANCEL;
  }
  return v1::HeartbeatResponse::WISH_UNSPECIFIED;
}

}  // namespace

grpc::ServerUnaryReactor* WorkerService::Register(
    grpc::CallbackServerContext* context, const v1::RegisterRequest* request,
    v1::RegisterResponse* response) {
  return RunUnary<v1::RegisterRequest, v1::RegisterResponse>(
      environment_, {kService, "Register"}, context, request, response,
      [this,
       allowed = CheckWorkerId(environment_, *context, request->worker_id())](
          const v1::RegisterRequest& request,
          v1::RegisterResponse* response) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(allowed);
        ATTUNE_ASSIGN_OR_RETURN(std::vector<core::WorkerRole> roles,
                                FromProto(request));
        ATTUNE_RETURN_IF_ERROR(
            workers_.Register(request.worker_id(), std::move(roles),
                              {.kind = request.device().kind(),
                               .name = request.device().name(),
                               .memory_bytes = request.device().memory_bytes()},
                              request.build()));
        const core::LeaseOptions& options = leases_.options();
        *response->mutable_heartbeat_interval() =
            ToProtoDuration(options.heartbeat_interval);
        *response->mutable_lease_duration() = ToProtoDuration(options.duration);
        *response->mutable_fence_after() =
            ToProtoDuration(options.FenceAfter());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* WorkerService::ListWorkers(
    grpc::CallbackServerContext* context, const v1::ListWorkersRequest* request,
    v1::ListWorkersResponse* response) {
  return RunUnary<v1::ListWorkersRequest, v1::ListWorkersResponse>(
      environment_, {kService, "ListWorkers"}, context, request, response,
      [this](const v1::ListWorkersRequest&, v1::ListWorkersResponse* response) {
        for (const core::Worker& worker : workers_.List()) {
          *response->add_workers() = services::ToProto(worker);
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* WorkerService::LeaseTask(
    grpc::CallbackServerContext* context, const v1::LeaseTaskRequest* request,
    v1::LeaseTaskResponse* response) {
  return BeginLeaseTask(environment_, leases_, context, request, response);
}

grpc::ServerUnaryReactor* WorkerService::Heartbeat(
    grpc::CallbackServerContext* context, const v1::HeartbeatRequest* request,
    v1::HeartbeatResponse* response) {
  constexpr CallName kName = {kService, "Heartbeat"};
  auto* call = new UnaryCall(environment_, kName);
  // Also while the server drains: a worker keeps its lease over a restart.
  absl::Status status = AuthoriseCall(environment_, kName, *context).status();
  if (status.ok()) {
    status = CheckWorkerId(environment_, *context, request->worker_id());
  }
  if (status.ok() && request->ByteSizeLong() > kMaxUnaryBytes) {
    status = InvalidField("lease_token", "is too long");
  }
  call->Done(status.ok() ? Beat(*request, response) : status);
  return call;
}

absl::Status WorkerService::Beat(const v1::HeartbeatRequest& request,
                                 v1::HeartbeatResponse* response) {
  const absl::Status known = workers_.Touch(request.worker_id());
  response->set_wish(v1::HeartbeatResponse::WISH_CONTINUE);
  if (request.lease_token().empty()) return known;
  // A lease outlives a restart of the server, the list of workers does not.
  ATTUNE_ASSIGN_OR_RETURN(
      const core::Wish wish,
      leases_.Heartbeat(request.lease_token(), request.step(),
                        request.total_steps()));
  response->set_wish(ToProto(wish));
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* WorkerService::ReportMetrics(
    grpc::CallbackServerContext* context,
    const v1::ReportMetricsRequest* request,
    v1::ReportMetricsResponse* response) {
  return RunUnary<v1::ReportMetricsRequest, v1::ReportMetricsResponse>(
      environment_, {kService, "ReportMetrics"}, context, request, response,
      [this](const v1::ReportMetricsRequest& request,
             v1::ReportMetricsResponse*) -> absl::Status {
        std::vector<storage::MetricRow> rows;
        rows.reserve(request.rows_size());
        const absl::Time now = clock_.WallNow();
        for (const v1::MetricRow& row : request.rows()) {
          rows.push_back(FromProto(row, now));
        }
        const std::vector<int64_t> unusable(
            request.unusable_checkpoints().begin(),
            request.unusable_checkpoints().end());
        if (!unusable.empty()) {
          ATTUNE_RETURN_IF_ERROR(
              reports_.DropCheckpoints(request.lease_token(), unusable));
        }
        return reports_.AddMetrics(
            request.lease_token(), std::move(rows), request.total_steps(),
            {request.notes().begin(), request.notes().end()});
      });
}

grpc::ServerWriteReactor<v1::GetBlobsResponse>* WorkerService::GetBlobs(
    grpc::CallbackServerContext* context, const v1::GetBlobsRequest* request) {
  return RunDownload<v1::GetBlobsResponse>(
      environment_, {kService, "GetBlobs"}, context, request->ByteSizeLong(),
      NewBlobDownload(blobs_, *request), nullptr);
}

grpc::ServerReadReactor<v1::PutBlobsRequest>* WorkerService::PutBlobs(
    grpc::CallbackServerContext* context, v1::PutBlobsResponse* response) {
  return RunUpload<v1::PutBlobsRequest, v1::PutBlobsResponse>(
      environment_, {kService, "PutBlobs"}, context, response,
      NewBlobUpload(reports_, blobs_), nullptr);
}

grpc::ServerUnaryReactor* WorkerService::FindMissingBlobs(
    grpc::CallbackServerContext* context,
    const v1::FindMissingBlobsRequest* request,
    v1::FindMissingBlobsResponse* response) {
  return RunUnary<v1::FindMissingBlobsRequest, v1::FindMissingBlobsResponse>(
      environment_, {kService, "FindMissingBlobs"}, context, request, response,
      [this](const v1::FindMissingBlobsRequest& request,
             v1::FindMissingBlobsResponse* response) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(ValidateDigests(request.digests()));
        const std::vector<std::string> digests(request.digests().begin(),
                                               request.digests().end());
        ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> missing,
                                blobs_.FindMissing(digests));
        response->mutable_digests()->Add(missing.begin(), missing.end());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* WorkerService::CommitCheckpoint(
    grpc::CallbackServerContext* context,
    const v1::CommitCheckpointRequest* request,
    v1::CommitCheckpointResponse* response) {
  return RunUnary<v1::CommitCheckpointRequest, v1::CommitCheckpointResponse>(
      environment_, {kService, "CommitCheckpoint"}, context, request, response,
      [this](const v1::CommitCheckpointRequest& request,
             v1::CommitCheckpointResponse*) {
        return reports_.CommitCheckpoint(
            request.lease_token(), request.checkpoint().step(),
            FromProto(request.checkpoint().manifest()),
            request.checkpoint().state());
      });
}

grpc::ServerUnaryReactor* WorkerService::CompleteTask(
    grpc::CallbackServerContext* context,
    const v1::CompleteTaskRequest* request,
    v1::CompleteTaskResponse* response) {
  return RunUnary<v1::CompleteTaskRequest, v1::CompleteTaskResponse>(
      environment_, {kService, "CompleteTask"}, context, request, response,
      [this](const v1::CompleteTaskRequest& request,
             v1::CompleteTaskResponse* response) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const core::TaskResult result,
                                FromProto(request));
        ATTUNE_ASSIGN_OR_RETURN(
            const std::vector<std::string> versions,
            reports_.Complete(request.lease_token(), result));
        response->mutable_versions()->Add(versions.begin(), versions.end());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* WorkerService::FailTask(
    grpc::CallbackServerContext* context, const v1::FailTaskRequest* request,
    v1::FailTaskResponse* response) {
  return RunUnary<v1::FailTaskRequest, v1::FailTaskResponse>(
      environment_, {kService, "FailTask"}, context, request, response,
      [this](const v1::FailTaskRequest& request,
             v1::FailTaskResponse*) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const core::FailureKind kind,
                                FromProto(request.kind()));
        return reports_.Fail(request.lease_token(), kind, request.reason(),
                             request.message());
      });
}

}  // namespace attune::services
