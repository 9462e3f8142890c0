#ifndef ATTUNE_SERVER_SERVICES_WORKER_SERVICE_H_
#define ATTUNE_SERVER_SERVICES_WORKER_SERVICE_H_

#include <functional>
#include <utility>

#include "attune/v1/worker_service.grpc.pb.h"
#include "common/clock.h"
#include "server/core/leases/lease_manager.h"
#include "server/core/leases/task_reports.h"
#include "server/core/leases/worker_registry.h"
#include "server/services/call.h"
#include "storage/blob_store.h"

namespace attune::services {

// attune.v1.WorkerService over leases, reports and blobs.
class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  // Begins one call of Serve.
  using ServeHandler = std::function<grpc::ServerBidiReactor<
      v1::ServeRequest, v1::ServeResponse>*(grpc::CallbackServerContext*)>;

  // The arguments outlive the service.
  WorkerService(const CallEnvironment& environment, const Clock& clock,
                core::WorkerRegistry& workers, core::LeaseManager& leases,
                core::TaskReports& reports, storage::BlobStore& blobs,
                ServeHandler serve)
      : environment_(environment),
        clock_(clock),
        workers_(workers),
        leases_(leases),
        reports_(reports),
        blobs_(blobs),
        serve_(std::move(serve)) {}

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context,
                                     const v1::RegisterRequest* request,
                                     v1::RegisterResponse* response) override;
  grpc::ServerUnaryReactor* ListWorkers(
      grpc::CallbackServerContext* context,
      const v1::ListWorkersRequest* request,
      v1::ListWorkersResponse* response) override;
  // Holds no thread while it waits.
  grpc::ServerUnaryReactor* LeaseTask(grpc::CallbackServerContext* context,
                                      const v1::LeaseTaskRequest* request,
                                      v1::LeaseTaskResponse* response) override;
  // Answered on the spot: nothing in it blocks.
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) override;
  grpc::ServerUnaryReactor* ReportMetrics(
      grpc::CallbackServerContext* context,
      const v1::ReportMetricsRequest* request,
      v1::ReportMetricsResponse* response) override;
  grpc::ServerWriteReactor<v1::GetBlobsResponse>* GetBlobs(
      grpc::CallbackServerContext* context,
      const v1::GetBlobsRequest* request) override;
  grpc::ServerReadReactor<v1::PutBlobsRequest>* PutBlobs(
      grpc::CallbackServerContext* context,
      v1::PutBlobsResponse* response) override;
  grpc::ServerUnaryReactor* FindMissingBlobs(
      grpc::CallbackServerContext* context,
      const v1::FindMissingBlobsRequest* request,
      v1::FindMissingBlobsResponse* response) override;
  grpc::ServerUnaryReactor* CommitCheckpoint(
      grpc::CallbackServerContext* context,
      const v1::CommitCheckpointRequest* request,
      v1::CommitCheckpointResponse* response) override;
  grpc::ServerUnaryReactor* CompleteTask(
      grpc::CallbackServerContext* context,
      const v1::CompleteTaskRequest* request,
      v1::CompleteTaskResponse* response) override;
  grpc::ServerUnaryReactor* FailTask(grpc::CallbackServerContext* context,
                                     const v1::FailTaskRequest* request,
                                     v1::FailTaskResponse* response) override;
  grpc::ServerBidiReactor<v1::ServeRequest, v1::ServeResponse>* Serve(
      grpc::CallbackServerContext* context) override {
    return serve_(context);
  }

 private:
  absl::Status Beat(const v1::HeartbeatRequest& request,
                    v1::HeartbeatResponse* response);

  const CallEnvironment& environment_;
  const Clock& clock_;
  core::WorkerRegistry& workers_;
  core::LeaseManager& leases_;
  core::TaskReports& reports_;
  storage::BlobStore& blobs_;
  const ServeHandler serve_;
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_WORKER_SERVICE_H_
