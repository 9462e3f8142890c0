// A whole server in this process, called over a channel as by any client.

#ifndef ATTUNE_TESTS_SERVER_SERVICES_SERVICE_FIXTURE_H_
#define ATTUNE_TESTS_SERVER_SERVICES_SERVICE_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "attune/v1/dataset_service.grpc.pb.h"
#include "attune/v1/job_service.grpc.pb.h"
#include "attune/v1/model_service.grpc.pb.h"
#include "attune/v1/worker_service.grpc.pb.h"
#include "common/grpc/status_conversion.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/test_util/temp_dir.h"

namespace attune::services {

// Examples with pictures whose headers are good.
v1::Example PairExample(absl::string_view image, absl::string_view preferred,
                        absl::string_view rejected);
v1::Example CleanExample(absl::string_view image);

// The stream of an upload: header, chunks of at most `chunk_bytes`, end.
std::vector<v1::UploadExamplesRequest> UploadStream(
    const std::string& dataset, const std::vector<v1::Example>& examples,
    size_t chunk_bytes = 1 << 20);

class ServiceFixture : public testing::Test {
 protected:
  void SetUp() override;

  // Ends the server and starts it again on the same folder.
  void RestartServer();

  absl::StatusOr<v1::UploadExamplesResponse> Upload(
      const std::vector<v1::UploadExamplesRequest>& messages);
  absl::Status CreateDataset(const std::string& name);
  // Creates, uploads, seals and, as a worker, validates.
  void MakeSealed(const std::string& name,
                  const std::vector<v1::Example>& examples);
  // Imports a small model as NAME:1.
  void ImportBase(const std::string& name = "base");
  // DPO without KL on "rta" from "base", 2 epochs.
  static v1::CreateJobRequest DpoRequest();
  v1::Job CreateDpoJob();

  void RegisterWorker(const std::string& id = "w1");
  // The next task; an empty one when none comes.
  v1::Task Lease(const std::string& worker = "w1",
                 absl::Duration wait = absl::Seconds(20));
  absl::Status Complete(const v1::CompleteTaskRequest& request,
                        v1::CompleteTaskResponse* response);

  test::TempDir dir_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::DatasetService::Stub> datasets_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
};

// Makes one unary call; its status and, when it is OK, its answer.
//   Call<v1::Job>([&](auto* context, auto* response) {
//     return jobs_->GetJob(context, request, response); })
template <typename Response, typename Body>
absl::StatusOr<Response> Call(Body body) {
  grpc::ClientContext context;
  Response response;
  absl::Status status = FromGrpcStatus(body(&context, &response));
  if (!status.ok()) return status;
  return response;
}

}  // namespace attune::services

#endif  // ATTUNE_TESTS_SERVER_SERVICES_SERVICE_FIXTURE_H_
