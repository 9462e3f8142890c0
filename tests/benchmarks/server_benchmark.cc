// The server's own cost of a call over loopback: real gRPC, a worker that
// answers at once. Each case reports the median and the 99th percentile of a
// call beside Google Benchmark's mean.

#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "attune/v1/inference_service.grpc.pb.h"
#include "attune/v1/model_service.grpc.pb.h"
#include "common/digest.h"
#include "common/grpc/channel.h"
#include "server/server.h"
#include "tests/common/image/fake_files.h"
#include "tests/server/core/models/clip_file.h"
#include "tests/server/services/fake_worker.h"
#include "tests/test_util/temp_dir.h"

namespace attune {
namespace {

using services::FakeWorker;

constexpr int kImageBytes = 40'000;

// A server with one version, a worker and a channel.
class Service {
 public:
  Service() {
    ServerOptions options;
    options.data_dir = folder_.File("data");
    options.listen = "127.0.0.1:0";
    options.metrics = "";
    server_ = *Server::Start(options);
    channel_ = ConnectTo(server_->address());
    inference_ = v1::InferenceService::NewStub(channel_);
    models_ = v1::ModelService::NewStub(channel_);
    ClipConfig config = core::SmallClip();
    config.vocabulary_size = 49408;
    config.text_width = 8;
    config.embedding_size = 512;
    Import("base", core::ClipFile(config));
    FakeWorker::Options worker;
    worker.dimensions = 512;
    worker.preferred_batch_size = 32;
    worker_ = std::make_unique<FakeWorker>(server_->address(), worker);
  }

  grpc::Status Import(const std::string& model, const std::string& file) {
    grpc::ClientContext context;
    v1::Version version;
    auto writer = models_->ImportModel(&context, &version);
    v1::ImportModelRequest request;
    request.mutable_header()->set_model(model);
    writer->Write(request);
    for (size_t i = 0; i < file.size(); i += kMaxChunkBytes) {
      request.set_chunk(file.substr(i, kMaxChunkBytes));
      writer->Write(request);
    }
    request.mutable_end()->set_size_bytes(static_cast<int64_t>(file.size()));
    request.mutable_end()->set_sha256(Sha256Hex(file));
    writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  }

  v1::InferenceService::Stub& inference() { return *inference_; }

  static Service& Get() {
    static auto& service = *new Service;
    return service;
  }

 private:
  test::TempDir folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<FakeWorker> worker_;
};

// Times calls one by one.
template <typename Call>
void TimeCalls(benchmark::State& state, Call call) {
  std::vector<absl::Duration> times;
  for (auto _ : state) {
    const absl::Time start = absl::Now();
    const grpc::Status status = call();
    times.push_back(absl::Now() - start);
    if (!status.ok()) state.SkipWithError(status.error_message().c_str());
  }
  std::sort(times.begin(), times.end());
  const auto at = [&times](double share) {
    return benchmark::Counter(
        absl::ToDoubleMicroseconds(
            times[static_cast<size_t>(share * (times.size() - 1))]),
        benchmark::Counter::kAvgThreads);
  };
  state.counters["p50_us"] = at(0.5);
  state.counters["p99_us"] = at(0.99);
}

void EmbedCachedText(benchmark::State& state) {
  Service& service = Service::Get();
  v1::EmbedTextsRequest request;
  request.set_version("base");
  request.add_texts("a photo of a dog.");
  TimeCalls(state, [&] {
    grpc::ClientContext context;
    v1::EmbedTextsResponse response;
    return service.inference().EmbedTexts(&context, request, &response);
  });
}
BENCHMARK(EmbedCachedText)->UseRealTime();

// `range(0)` images of 40 KB a call; with threads, batches across callers.
void EmbedImages(benchmark::State& state) {
  Service& service = Service::Get();
  v1::EmbedImagesRequest request;
  request.set_version("base");
  for (int i = 0; i < state.range(0); ++i) {
    request.add_images(image::test::Png(
        2, 2, 8, 2, "x",
        image::test::PngChunk("IDAT", std::string(kImageBytes, 'x'))));
  }
  TimeCalls(state, [&] {
    grpc::ClientContext context;
    v1::EmbedImagesResponse response;
    return service.inference().EmbedImages(&context, request, &response);
  });
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(EmbedImages)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(EmbedImages)->Arg(1)->Threads(16)->UseRealTime();

// One picture among labels whose embeddings are known.
void ClassifyImage(benchmark::State& state) {
  Service& service = Service::Get();
  v1::ClassifyImagesRequest request;
  request.set_version("base");
  request.add_images(image::test::Png(2, 2, 8, 2, "x"));
  for (int i = 0; i < state.range(0); ++i) {
    request.add_labels("label " + std::to_string(i));
  }
  request.add_templates("a photo of a {}.");
  request.set_top_k(5);
  TimeCalls(state, [&] {
    grpc::ClientContext context;
    v1::ClassifyImagesResponse response;
    return service.inference().ClassifyImages(&context, request, &response);
  });
}
BENCHMARK(ClassifyImage)->Arg(10)->Arg(1000)->UseRealTime();

void ImportModel(benchmark::State& state) {
  ClipConfig config = core::SmallClip();
  config.vocabulary_size = 49408;
  config.text_width = 512;
  config.text_heads = 8;
  const std::string file = core::ClipFile(config);
  for (auto _ : state) {
    const grpc::Status status = Service::Get().Import("imported", file);
    if (!status.ok()) state.SkipWithError(status.error_message().c_str());
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(file.size()));
}
BENCHMARK(ImportModel)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace attune
