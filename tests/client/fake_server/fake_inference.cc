#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "attune/v1/inference_service.grpc.pb.h"
#include "tests/client/fake_server/fake_server.h"
#include "tests/client/fake_server/fake_services.h"

namespace attune::client {
namespace {

using grpc::ServerContext;
using grpc::Status;

class FakeInference : public v1::InferenceService::Service {
 public:
  explicit FakeInference(FakeServer& fake) : fake_(fake) {}

  // The vector of an image is its size in bytes.
  Status EmbedImages(ServerContext*, const v1::EmbedImagesRequest* request,
                     v1::EmbedImagesResponse* response) override {
    FAKE_BEGIN(fake_);
    response->set_version("robust:1");
    for (const std::string& image : request->images()) {
      response->add_embeddings()->add_values(static_cast<float>(image.size()));
    }
    return Status::OK;
  }

  Status EmbedTexts(ServerContext*, const v1::EmbedTextsRequest* request,
                    v1::EmbedTextsResponse* response) override {
    FAKE_BEGIN(fake_);
    fake_.embedded_texts.assign(request->texts().begin(),
                                request->texts().end());
    response->set_version("robust:1");
    for (int i = 0; i < request->texts_size(); ++i) {
      response->add_embeddings()->add_values(1);
    }
    return Status::OK;
  }

  // Empty pictures fail; the others get the test's answer.
  Status ClassifyImages(ServerContext*,
                        const v1::ClassifyImagesRequest* request,
                        v1::ClassifyImagesResponse* response) override {
    FAKE_BEGIN(fake_);
    fake_.classify_requests.push_back(*request);
    response->set_version("robust:1");
    for (const std::string& image : request->images()) {
      v1::Classification& answer = *response->add_classifications();
      if (image.empty()) {
        answer.mutable_error()->set_code(3);
        answer.mutable_error()->set_reason("INVALID_IMAGE");
        answer.mutable_error()->set_message("the image is empty");
      } else {
        answer = fake_.classification;
      }
    }
    return Status::OK;
  }

  Status Compare(ServerContext*, const v1::CompareRequest* request,
                 v1::CompareResponse* response) override {
    FAKE_BEGIN(fake_);
    fake_.compare_requests.push_back(*request);
    for (const std::string& image : request->images()) {
      v1::Classification& answer =
          *response->mutable_answer()->add_classifications();
      v1::Classification& against =
          *response->mutable_against_answer()->add_classifications();
      const auto found = fake_.comparisons.find(image);
      if (found == fake_.comparisons.end()) {
        answer.mutable_error()->set_reason("INVALID_IMAGE");
        against.mutable_error()->set_reason("INVALID_IMAGE");
        continue;
      }
      *answer.add_scores() = found->second.answer;
      *against.add_scores() = found->second.against_answer;
    }
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFakeInference(FakeServer& fake) {
  return std::make_unique<FakeInference>(fake);
}

}  // namespace attune::client
