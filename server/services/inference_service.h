#ifndef ATTUNE_SERVER_SERVICES_INFERENCE_SERVICE_H_
#define ATTUNE_SERVER_SERVICES_INFERENCE_SERVICE_H_

#include "attune/v1/inference_service.grpc.pb.h"
#include "server/core/inference/classifier.h"
#include "server/core/inference/embedder.h"
#include "server/core/models/version_resolver.h"
#include "server/services/call.h"

namespace attune::services {

// attune.v1.InferenceService: resolves the version, asks the embedder or the
// classifier, encodes. No thread waits for a worker.
class InferenceService final : public v1::InferenceService::CallbackService {
 public:
  // The arguments outlive the service.
  InferenceService(const CallEnvironment& environment,
                   core::VersionResolver& resolver, core::Embedder& embedder,
                   core::Classifier& classifier)
      : environment_(environment),
        resolver_(resolver),
        embedder_(embedder),
        classifier_(classifier) {}

  grpc::ServerUnaryReactor* EmbedImages(
      grpc::CallbackServerContext* context,
      const v1::EmbedImagesRequest* request,
      v1::EmbedImagesResponse* response) override;
  // A few texts whose embeddings are known are answered in the callback.
  grpc::ServerUnaryReactor* EmbedTexts(
      grpc::CallbackServerContext* context,
      const v1::EmbedTextsRequest* request,
      v1::EmbedTextsResponse* response) override;
  grpc::ServerUnaryReactor* ClassifyImages(
      grpc::CallbackServerContext* context,
      const v1::ClassifyImagesRequest* request,
      v1::ClassifyImagesResponse* response) override;
  grpc::ServerUnaryReactor* Compare(grpc::CallbackServerContext* context,
                                    const v1::CompareRequest* request,
                                    v1::CompareResponse* response) override;

 private:
  const CallEnvironment& environment_;
  core::VersionResolver& resolver_;
  core::Embedder& embedder_;
  core::Classifier& classifier_;
};

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_INFERENCE_SERVICE_H_
