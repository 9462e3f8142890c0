#include "server/server.h"

#include <grpcpp/impl/codegen/client_unary_call.h>
#include <unistd.h>

#include <future>
#include <string>

#include "attune/v1/dataset_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "tests/server/services/fake_worker.h"
#include "tests/server/services/server_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::services {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::HasSubstr;

class ServerTest : public ServerFixture {
 protected:
  // Health of a service over the wire: SERVING is 1, NOT_SERVING 2. The
  // messages are written by hand, {1: name} and {1: status}.
  int Health(const std::string& service) {
    grpc::ClientContext context;
    const auto method = grpc::internal::RpcMethod(
        "/grpc.health.v1.Health/Check", grpc::internal::RpcMethod::NORMAL_RPC);
    grpc::ByteBuffer response;
    std::string request = "\x0a";
    request += static_cast<char>(service.size());
    request += service;
    grpc::Slice slice(request);
    grpc::ByteBuffer bytes(&slice, 1);
    const grpc::Status status =
        grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer,
                                          grpc::ByteBuffer, grpc::ByteBuffer>(
            channel_.get(), method, &context, bytes, &response);
    if (!status.ok()) return -static_cast<int>(status.error_code());
    grpc::Slice answer;
    response.TrySingleSlice(&answer);
    return answer.size() == 2 ? answer.begin()[1] : 0;
  }
};

TEST_F(ServerTest, HealthIsServingForEveryService) {
  for (const char* service :
       {"", "attune.v1.DatasetService", "attune.v1.JobService",
        "attune.v1.ModelService", "attune.v1.InferenceService",
        "attune.v1.WorkerService"}) {
    EXPECT_EQ(Health(service), 1) << service;
  }
  EXPECT_EQ(Health("attune.v1.Other"), -grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, SecondServerOnTheFolderNamesTheHolder) {
  ServerOptions options;
  options.data_dir = folder_.File("data");
  options.listen = "127.0.0.1:0";
  options.metrics = "";
  const auto second = Server::Start(options);
  EXPECT_THAT(second, HasError(absl::StatusCode::kFailedPrecondition,
                               "DATA_DIR_LOCKED"));
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(std::to_string(getpid())));
}

TEST_F(ServerTest, TakenAddressIsUnavailable) {
  ServerOptions options;
  options.data_dir = folder_.File("other");
  options.listen = server_->address();
  options.metrics = "";
  EXPECT_THAT(Server::Start(options), HasError(absl::StatusCode::kUnavailable,
                                               "ADDRESS_NOT_AVAILABLE"));
}

TEST_F(ServerTest, PlaintextBeyondLoopbackNeedsTheFlag) {
  ServerOptions options;
  options.data_dir = folder_.File("other");
  options.metrics = "";
  for (const char* listen : {"0.0.0.0:0", "[::]:0", "192.0.2.1:0"}) {
    options.listen = listen;
    EXPECT_THAT(
        Server::Start(options),
        HasError(absl::StatusCode::kInvalidArgument, "PLAINTEXT_NOT_ALLOWED"));
  }
  options.listen = "0.0.0.0:0";
  options.allow_plaintext = true;
  EXPECT_THAT(Server::Start(options), IsOk());
}

TEST_F(ServerTest, LeaseShorterThanFourHeartbeatsIsRefused) {
  ServerOptions options;
  options.data_dir = folder_.File("other");
  options.lease.duration = absl::Seconds(19);
  EXPECT_EQ(Server::Start(options).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ServerTest, UnaryRequestAboveItsLimitIsRefused) {
  auto datasets = v1::DatasetService::NewStub(channel_);
  v1::CreateDatasetRequest request;
  request.set_name("pairs");
  request.add_candidates(std::string(kMaxUnaryBytes, 'x'));
  v1::Dataset dataset;
  EXPECT_THAT(
      Run([&](grpc::ClientContext* context) {
        return datasets->CreateDataset(context, request, &dataset);
      }),
      HasError(absl::StatusCode::kResourceExhausted, "MESSAGE_TOO_LARGE"));
}

TEST_F(ServerTest, MessageAboveTheLargestLimitIsRefused) {
  v1::EmbedImagesRequest request;
  request.set_version("base");
  request.add_images(std::string(kMaxInferenceBytes + 1, 'x'));
  v1::EmbedImagesResponse response;
  ChannelOptions options;
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(-1);
  auto stub = v1::InferenceService::NewStub(grpc::CreateCustomChannel(
      server_->address(), grpc::InsecureChannelCredentials(), arguments));
  EXPECT_EQ(Run([&](grpc::ClientContext* context) {
              return stub->EmbedImages(context, request, &response);
            }).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(ServerTest, CompressedRequestIsUnimplemented) {
  v1::GetModelRequest request;
  request.set_name(std::string(1000, 'x'));
  v1::Model model;
  EXPECT_EQ(Run([&](grpc::ClientContext* context) {
              context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
              return models_->GetModel(context, request, &model);
            }).code(),
            absl::StatusCode::kUnimplemented);
}

TEST_F(ServerTest, PastDeadlineIsDeadlineExceeded) {
  v1::ListModelsResponse response;
  EXPECT_EQ(Run(
                [&](grpc::ClientContext* context) {
                  return models_->ListModels(context, {}, &response);
                },
                -absl::Seconds(1))
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ServerTest, DrainLetsTheRunningCallEndAndRefusesOthers) {
  v1::Version version;
  ASSERT_THAT(Import("base", core::ClipFile(ServedClip()), &version), IsOk());
  FakeWorker::Options options;
  options.silent = true;
  FakeWorker worker(server_->address(), options);
  v1::EmbedTextsResponse response;
  auto call = std::async(std::launch::async, [&] {
    v1::EmbedTextsRequest request;
    request.set_version("base");
    request.add_texts("a dog");
    return Run([&](grpc::ClientContext* context) {
      return inference_->EmbedTexts(context, request, &response);
    });
  });
  worker.AwaitBatches(1);
  auto drain = std::async(std::launch::async, [&] { server_->Drain(); });
  absl::Status refused;
  do {
    v1::ListModelsResponse models;
    refused = Run([&](grpc::ClientContext* context) {
      return models_->ListModels(context, {}, &models);
    });
  } while (refused.ok());
  EXPECT_THAT(refused, HasError(absl::StatusCode::kUnavailable, "DRAINING"));
  EXPECT_TRUE(ErrorRetryDelay(refused).has_value());
  EXPECT_EQ(Health(""), 2);
  worker.Release();
  EXPECT_THAT(call.get(), IsOk());
  EXPECT_EQ(response.embeddings_size(), 1);
  drain.get();
  EXPECT_THAT(FromGrpcStatus(worker.AwaitEnd()),
              HasError(absl::StatusCode::kUnavailable, "DRAINING"));
}

TEST_F(ServerTest, CallThatOutlastsTheDrainIsEnded) {
  server_ = nullptr;
  ServerOptions options;
  options.drain_timeout = absl::Milliseconds(200);
  StartServer(options);
  v1::Version version;
  ASSERT_THAT(Import("base", core::ClipFile(ServedClip()), &version), IsOk());
  FakeWorker::Options silent;
  silent.silent = true;
  FakeWorker worker(server_->address(), silent);
  auto call = std::async(std::launch::async, [&] {
    v1::EmbedTextsRequest request;
    request.set_version("base");
    request.add_texts("a dog");
    v1::EmbedTextsResponse response;
    return Run([&](grpc::ClientContext* context) {
      return inference_->EmbedTexts(context, request, &response);
    });
  });
  worker.AwaitBatches(1);
  server_->Drain();
  EXPECT_EQ(call.get().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServerTest, WhatWasStoredIsThereAfterARestart) {
  v1::Version version;
  ASSERT_THAT(Import("base", core::ClipFile(core::SmallClip()), &version),
              IsOk());
  server_ = nullptr;
  StartServer({});
  v1::GetVersionRequest request;
  request.set_version("base");
  v1::Version stored;
  ASSERT_THAT(Run([&](grpc::ClientContext* context) {
                return models_->GetVersion(context, request, &stored);
              }),
              IsOk());
  EXPECT_EQ(stored.SerializeAsString(), version.SerializeAsString());
}

TEST_F(ServerTest, DrainedServerRefusesCalls) {
  server_->Drain();
  v1::ListModelsResponse response;
  EXPECT_EQ(Run([&](grpc::ClientContext* context) {
              return models_->ListModels(context, {}, &response);
            }).code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attune::services
