#ifndef ATTUNE_SERVER_SERVICES_MODEL_SERVICE_H_
#define ATTUNE_SERVER_SERVICES_MODEL_SERVICE_H_

#include "attune/v1/model_service.grpc.pb.h"
#include "server/core/models/model_registry.h"
#include "server/services/call.h"

namespace attune::services {

// attune.v1.ModelService over core::ModelRegistry.
class ModelService final : public v1::ModelService::CallbackService {
 public:
  // The arguments outlive the service.
  ModelService(const CallEnvironment& environment,
               core::ModelRegistry& registry)
      : environment_(environment), registry_(registry) {}

  grpc::ServerReadReactor<v1::ImportModelRequest>* ImportModel(
      grpc::CallbackServerContext* context, v1::Version* response) override;
  grpc::ServerUnaryReactor* GetImport(grpc::CallbackServerContext* context,
                                      const v1::GetImportRequest* request,
                                      v1::Import* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::Model* response) override;
  grpc::ServerUnaryReactor* ListModels(
      grpc::CallbackServerContext* context,
      const v1::ListModelsRequest* request,
      v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* ListVersions(
      grpc::CallbackServerContext* context,
      const v1::ListVersionsRequest* request,
      v1::ListVersionsResponse* response) override;
  grpc::ServerUnaryReactor* GetVersion(grpc::CallbackServerContext* context,
                                       const v1::GetVersionRequest* request,
                                       v1::Version* response) override;
  grpc::ServerWriteReactor<v1::ExportVersionResponse>* ExportVersion(
      grpc::CallbackServerContext* context,
      const v1::ExportVersionRequest* request) override;
  grpc::ServerUnaryReactor* SetAlias(grpc::CallbackServerContext* context,
                                     const v1::SetAliasRequest* request,
                                     v1::Model* response) override;
  grpc::ServerUnaryReactor* DeleteModel(
      grpc::CallbackServerContext* context,
      const v1::DeleteModelRequest* request,
      v1::DeleteModelResponse* response) override;

 private:
  const CallEnvironment& environment_;
  core::ModelRegistry& registry_;
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_MODEL_SERVICE_H_
