#ifndef ATTUNE_SERVER_SERVICES_DATASET_SERVICE_H_
#define ATTUNE_SERVER_SERVICES_DATASET_SERVICE_H_

#include "attune/v1/dataset_service.grpc.pb.h"
#include "server/core/datasets/dataset_manager.h"
#include "server/services/call.h"
#include "storage/blob_store.h"

namespace attune::services {

// attune.v1.DatasetService over core::DatasetManager.
class DatasetService final : public v1::DatasetService::CallbackService {
 public:
  // The arguments outlive the service.
  DatasetService(const CallEnvironment& environment,
                 core::DatasetManager& datasets,
                 const storage::BlobStore& blobs)
      : environment_(environment), datasets_(datasets), blobs_(blobs) {}

  grpc::ServerUnaryReactor* CreateDataset(
      grpc::CallbackServerContext* context,
      const v1::CreateDatasetRequest* request, v1::Dataset* response) override;
  grpc::ServerReadReactor<v1::UploadExamplesRequest>* UploadExamples(
      grpc::CallbackServerContext* context,
      v1::UploadExamplesResponse* response) override;
  grpc::ServerUnaryReactor* GetUpload(grpc::CallbackServerContext* context,
                                      const v1::GetUploadRequest* request,
                                      v1::Upload* response) override;
  grpc::ServerUnaryReactor* SealDataset(grpc::CallbackServerContext* context,
                                        const v1::SealDatasetRequest* request,
                                        v1::Dataset* response) override;
  grpc::ServerUnaryReactor* GetDataset(grpc::CallbackServerContext* context,
                                       const v1::GetDatasetRequest* request,
                                       v1::Dataset* response) override;
  grpc::ServerUnaryReactor* ListDatasets(
      grpc::CallbackServerContext* context,
      const v1::ListDatasetsRequest* request,
      v1::ListDatasetsResponse* response) override;
  grpc::ServerUnaryReactor* ListExamples(
      grpc::CallbackServerContext* context,
      const v1::ListExamplesRequest* request,
      v1::ListExamplesResponse* response) override;
  grpc::ServerWriteReactor<v1::DownloadExamplesResponse>* DownloadExamples(
      grpc::CallbackServerContext* context,
      const v1::DownloadExamplesRequest* request) override;
  grpc::ServerUnaryReactor* DropExamples(grpc::CallbackServerContext* context,
                                         const v1::DropExamplesRequest* request,
                                         v1::Dataset* response) override;
  grpc::ServerUnaryReactor* DeleteDataset(
      grpc::CallbackServerContext* context,
      const v1::DeleteDatasetRequest* request,
      v1::DeleteDatasetResponse* response) override;

 private:
  const CallEnvironment& environment_;
  core::DatasetManager& datasets_;
  const storage::BlobStore& blobs_;
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_DATASET_SERVICE_H_
