// What workers call all the time, through a whole server over loopback with its
// data folder under TMPDIR.

#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "attune/v1/dataset_service.grpc.pb.h"
#include "attune/v1/worker_service.grpc.pb.h"
#include "common/digest.h"
#include "common/grpc/channel.h"
#include "common/grpc/delimited.h"
#include "common/grpc/status_conversion.h"
#include "server/server.h"
#include "tests/common/image/fake_files.h"
#include "tests/test_util/temp_dir.h"

namespace attune {
namespace {

constexpr int kRows = 1'000;

class LocalServer {
 public:
  LocalServer() {
    ServerOptions options;
    options.data_dir = dir_.path();
    options.listen = "127.0.0.1:0";
    options.metrics = "";
    server_ = *Server::Start(options);
    channel_ = ConnectTo(server_->address());
    datasets = v1::DatasetService::NewStub(channel_);
    workers = v1::WorkerService::NewStub(channel_);
  }

 private:
  test::TempDir dir_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;

 public:
  std::unique_ptr<v1::DatasetService::Stub> datasets;
  std::unique_ptr<v1::WorkerService::Stub> workers;
};

void Check(const grpc::Status& status, benchmark::State& state) {
  if (!status.ok()) {
    state.SkipWithError(FromGrpcStatus(status).ToString().c_str());
  }
}

void CreateDataset(LocalServer& server, const std::string& name,
                   benchmark::State& state) {
  grpc::ClientContext context;
  v1::CreateDatasetRequest request;
  request.set_name(name);
  v1::Dataset dataset;
  Check(server.datasets->CreateDataset(&context, request, &dataset), state);
}

// Uploads one picture with a good header.
void Upload(LocalServer& server, const std::string& dataset,
            benchmark::State& state) {
  v1::Example example;
  example.mutable_clean();
  example.set_image(absl::StrCat(image::test::PngStart(4, 4),
                                 image::test::PngChunk("IDAT", "x"),
                                 image::test::PngChunk("IEND", "")));
  std::string bytes;
  AppendDelimited(example, &bytes);
  grpc::ClientContext context;
  v1::UploadExamplesResponse response;
  auto writer = server.datasets->UploadExamples(&context, &response);
  v1::UploadExamplesRequest message;
  message.mutable_header()->set_dataset(dataset);
  writer->Write(message);
  message.set_chunk(bytes);
  writer->Write(message);
  message.mutable_end()->set_size_bytes(static_cast<int64_t>(bytes.size()));
  message.mutable_end()->set_sha256(Sha256Hex(bytes));
  writer->Write(message);
  writer->WritesDone();
  Check(writer->Finish(), state);
}

// A worker that holds a task: the validation of a dataset of one picture.
std::string LeaseToken(LocalServer& server, benchmark::State& state) {
  CreateDataset(server, "rta", state);
  Upload(server, "rta", state);
  grpc::ClientContext seal_context;
  v1::SealDatasetRequest seal;
  seal.set_name("rta");
  v1::Dataset dataset;
  Check(server.datasets->SealDataset(&seal_context, seal, &dataset), state);
  grpc::ClientContext register_context;
  v1::RegisterRequest worker;
  worker.set_worker_id("w1");
  worker.add_roles(v1::WORKER_ROLE_TRAIN);
  worker.mutable_device()->set_kind("cpu");
  v1::RegisterResponse registered;
  Check(server.workers->Register(&register_context, worker, &registered),
        state);
  grpc::ClientContext lease_context;
  v1::LeaseTaskRequest lease;
  lease.set_worker_id("w1");
  lease.mutable_wait()->set_seconds(10);
  v1::LeaseTaskResponse leased;
  Check(server.workers->LeaseTask(&lease_context, lease, &leased), state);
  return leased.task().lease_token();
}

void BM_ReportMetrics(benchmark::State& state) {
  LocalServer server;
  v1::ReportMetricsRequest request;
  request.set_lease_token(LeaseToken(server, state));
  for (int i = 0; i < kRows; ++i) {
    v1::MetricRow* row = request.add_rows();
    row->set_epoch(0.5);
    row->set_loss(0.7);
    row->set_objective_loss(0.6);
    row->set_kl(0.1);
    row->set_preferred_log_ratio(0.2);
    row->set_rejected_log_ratio(-0.2);
    row->set_margin(0.4);
    row->set_pair_accuracy(0.9);
    row->set_logit_scale(100);
    row->set_learning_rate(2e-5);
    row->set_gradient_norm(1.5);
    row->set_examples_per_second(1000);
  }
  int64_t step = 0;
  for (auto _ : state) {
    for (v1::MetricRow& row : *request.mutable_rows()) row.set_step(++step);
    grpc::ClientContext context;
    v1::ReportMetricsResponse response;
    Check(server.workers->ReportMetrics(&context, request, &response), state);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(BM_ReportMetrics)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_Heartbeat(benchmark::State& state) {
  LocalServer server;
  v1::HeartbeatRequest request;
  request.set_worker_id("w1");
  request.set_lease_token(LeaseToken(server, state));
  for (auto _ : state) {
    grpc::ClientContext context;
    v1::HeartbeatResponse response;
    Check(server.workers->Heartbeat(&context, request, &response), state);
  }
}
BENCHMARK(BM_Heartbeat)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace attune
