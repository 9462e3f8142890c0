#ifndef ATTUNE_TESTS_SERVER_SERVICES_SERVER_FIXTURE_H_
#define ATTUNE_TESTS_SERVER_SERVICES_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "attune/v1/inference_service.grpc.pb.h"
#include "attune/v1/model_service.grpc.pb.h"
#include "common/digest.h"
#include "common/grpc/channel.h"
#include "common/grpc/status_conversion.h"
#include "common/ids.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/server/core/models/clip_file.h"
#include "tests/test_util/temp_dir.h"

namespace attune::services {

// The whole server on a free port, and stubs that call it.
class ServerFixture : public testing::Test {
 protected:
  void SetUp() override { StartServer({}); }

  void StartServer(ServerOptions options) {
    options.data_dir = folder_.File("data");
    options.listen = "127.0.0.1:0";
    options.metrics = "";
    auto server = Server::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = ConnectTo(server_->address());
    models_ = v1::ModelService::NewStub(channel_);
    inference_ = v1::InferenceService::NewStub(channel_);
  }

  // Streams a file to ImportModel in chunks of `step` bytes.
  absl::Status Import(const std::string& model, const std::string& file,
                      v1::Version* version, size_t step = kMaxChunkBytes) {
    grpc::ClientContext context;
    auto writer = models_->ImportModel(&context, version);
    v1::ImportModelRequest request;
    request.mutable_header()->set_model(model);
    request.mutable_header()->set_request_id(NewUuid());
    bool open = writer->Write(request);
    for (size_t i = 0; i < file.size() && open; i += step) {
      request.set_chunk(file.substr(i, step));
      open = writer->Write(request);
    }
    request.mutable_end()->set_size_bytes(static_cast<int64_t>(file.size()));
    request.mutable_end()->set_sha256(Sha256Hex(file));
    if (open) writer->Write(request);
    writer->WritesDone();
    return FromGrpcStatus(writer->Finish());
  }

  // A version that takes texts: CLIP's vocabulary, and all else small.
  static ClipConfig ServedClip() {
    ClipConfig config = core::SmallClip();
    config.vocabulary_size = 49408;
    config.text_width = 8;
    return config;
  }

  template <typename Call>
  static absl::Status Run(Call call,
                          absl::Duration timeout = absl::Seconds(30)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    return FromGrpcStatus(call(&context));
  }

  test::TempDir folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
};

}  // namespace attune::services

#endif  // ATTUNE_TESTS_SERVER_SERVICES_SERVER_FIXTURE_H_
