#include "tests/server/services/service_fixture.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/grpc/channel.h"
#include "common/grpc/delimited.h"
#include "common/grpc/time_conversion.h"
#include "tests/common/image/fake_files.h"
#include "tests/server/core/models/clip_file.h"

namespace attune::services {
namespace {

std::string FakePng(absl::string_view content) {
  return absl::StrCat(image::test::PngStart(4, 4),
                      image::test::PngChunk("IDAT", content),
                      image::test::PngChunk("IEND", ""));
}

}  // namespace

v1::Example PairExample(absl::string_view image, absl::string_view preferred,
                        absl::string_view rejected) {
  v1::Example example;
  example.set_image(FakePng(image));
  example.mutable_pair()->set_preferred(std::string(preferred));
  example.mutable_pair()->set_rejected(std::string(rejected));
  return example;
}

v1::Example CleanExample(absl::string_view image) {
  v1::Example example;
  example.set_image(FakePng(image));
  example.mutable_clean();
  return example;
}

std::vector<v1::UploadExamplesRequest> UploadStream(
    const std::string& dataset, const std::vector<v1::Example>& examples,
    size_t chunk_bytes) {
  std::string bytes;
  for (const v1::Example& example : examples) AppendDelimited(example, &bytes);
  std::vector<v1::UploadExamplesRequest> messages(1);
  messages[0].mutable_header()->set_dataset(dataset);
  for (size_t i = 0; i < bytes.size(); i += chunk_bytes) {
    messages.emplace_back().set_chunk(bytes.substr(i, chunk_bytes));
  }
  v1::UploadExamplesRequest::End* end = messages.emplace_back().mutable_end();
  end->set_size_bytes(static_cast<int64_t>(bytes.size()));
  end->set_sha256(Sha256Hex(bytes));
  return messages;
}

void ServiceFixture::SetUp() { RestartServer(); }

void ServiceFixture::RestartServer() {
  server_ = nullptr;
  ServerOptions options;
  options.data_dir = dir_.path();
  options.listen = "127.0.0.1:0";
  options.metrics = "";
  options.blocking_threads = 4;
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  channel_ = ConnectTo(server_->address());
  datasets_ = v1::DatasetService::NewStub(channel_);
  jobs_ = v1::JobService::NewStub(channel_);
  models_ = v1::ModelService::NewStub(channel_);
  workers_ = v1::WorkerService::NewStub(channel_);
}

absl::StatusOr<v1::UploadExamplesResponse> ServiceFixture::Upload(
    const std::vector<v1::UploadExamplesRequest>& messages) {
  grpc::ClientContext context;
  v1::UploadExamplesResponse response;
  auto writer = datasets_->UploadExamples(&context, &response);
  for (const v1::UploadExamplesRequest& message : messages) {
    if (!writer->Write(message)) break;
  }
  writer->WritesDone();
  absl::Status status = FromGrpcStatus(writer->Finish());
  if (!status.ok()) return status;
  return response;
}

absl::Status ServiceFixture::CreateDataset(const std::string& name) {
  v1::CreateDatasetRequest request;
  request.set_name(name);
  return Call<v1::Dataset>([&](auto* context, auto* response) {
           return datasets_->CreateDataset(context, request, response);
         })
      .status();
}

void ServiceFixture::MakeSealed(const std::string& name,
                                const std::vector<v1::Example>& examples) {
  ASSERT_TRUE(CreateDataset(name).ok());
  const auto uploaded = Upload(UploadStream(name, examples));
  ASSERT_TRUE(uploaded.ok()) << uploaded.status();
  v1::SealDatasetRequest seal;
  seal.set_name(name);
  const auto sealed = Call<v1::Dataset>([&](auto* context, auto* response) {
    return datasets_->SealDataset(context, seal, response);
  });
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  RegisterWorker("sealer");
  v1::CompleteTaskRequest complete;
  complete.set_lease_token(Lease("sealer").lease_token());
  complete.mutable_validate();
  v1::CompleteTaskResponse response;
  const absl::Status status = Complete(complete, &response);
  ASSERT_TRUE(status.ok()) << status;
}

void ServiceFixture::ImportBase(const std::string& name) {
  const std::string file = core::ClipFile(core::SmallClip());
  grpc::ClientContext context;
  v1::Version version;
  auto writer = models_->ImportModel(&context, &version);
  v1::ImportModelRequest message;
  message.mutable_header()->set_model(name);
  writer->Write(message);
  for (size_t i = 0; i < file.size(); i += kMaxChunkBytes) {
    message.set_chunk(file.substr(i, kMaxChunkBytes));
    writer->Write(message);
  }
  message.mutable_end()->set_size_bytes(static_cast<int64_t>(file.size()));
  message.mutable_end()->set_sha256(Sha256Hex(file));
  writer->Write(message);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
}

v1::CreateJobRequest ServiceFixture::DpoRequest() {
  v1::CreateJobRequest request;
  v1::TrainSpec* train = request.mutable_train();
  train->set_dataset("rta");
  train->set_base("base");
  train->set_output_model("robust");
  train->mutable_dpo()->set_kl_weight(0);
  train->set_epochs(2);
  train->set_truncate(true);
  return request;
}

v1::Job ServiceFixture::CreateDpoJob() {
  const auto job = Call<v1::Job>([&](auto* context, auto* response) {
    return jobs_->CreateJob(context, DpoRequest(), response);
  });
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *job : v1::Job();
}

void ServiceFixture::RegisterWorker(const std::string& id) {
  v1::RegisterRequest request;
  request.set_worker_id(id);
  request.add_roles(v1::WORKER_ROLE_TRAIN);
  request.mutable_device()->set_kind("cpu");
  const auto registered =
      Call<v1::RegisterResponse>([&](auto* context, auto* response) {
        return workers_->Register(context, request, response);
      });
  ASSERT_TRUE(registered.ok()) << registered.status();
}

v1::Task ServiceFixture::Lease(const std::string& worker, absl::Duration wait) {
  v1::LeaseTaskRequest request;
  request.set_worker_id(worker);
  *request.mutable_wait() = ToProtoDuration(wait);
  const auto leased =
      Call<v1::LeaseTaskResponse>([&](auto* context, auto* response) {
        return workers_->LeaseTask(context, request, response);
      });
  EXPECT_TRUE(leased.ok()) << leased.status();
  return leased.ok() ? leased->task() : v1::Task();
}

absl::Status ServiceFixture::Complete(const v1::CompleteTaskRequest& request,
                                      v1::CompleteTaskResponse* response) {
  grpc::ClientContext context;
  return FromGrpcStatus(workers_->CompleteTask(&context, request, response));
}

}  // namespace attune::services
