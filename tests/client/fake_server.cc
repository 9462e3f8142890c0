#include "tests/client/fake_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/delimited.h"
#include "common/grpc/status_conversion.h"

namespace attune::client {
namespace {

using grpc::ServerContext;
using grpc::Status;

// Sends `bytes` in chunks and then the end.
template <typename Response>
void SendInChunks(const std::string& bytes, bool corrupt,
                  grpc::ServerWriter<Response>* writer) {
  constexpr size_t kChunk = 1000;
  for (size_t at = 0; at < bytes.size(); at += kChunk) {
    Response response;
    response.set_chunk(bytes.substr(at, kChunk));
    writer->Write(response);
  }
  Response response;
  response.mutable_end()->set_size_bytes(static_cast<int64_t>(bytes.size()));
  response.mutable_end()->set_sha256(Sha256Hex(corrupt ? bytes + "x" : bytes));
  writer->Write(response);
}

Status DigestError() {
  return ToGrpcStatus(Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH",
                            "size or digest differ"));
}

}  // namespace

// Returns from a handler when the test wants the call to fail; else holds the
// lock until the handler's end.
#define FAKE_BEGIN(fake)                                  \
  if (absl::Status begin = (fake).Begin(); !begin.ok()) { \
    return ToGrpcStatus(begin);                           \
  }                                                       \
  absl::MutexLock lock(&(fake).mutex)

class FakeServer::Datasets : public v1::DatasetService::Service {
 public:
  explicit Datasets(FakeServer& fake) : fake_(fake) {}

  Status CreateDataset(ServerContext*, const v1::CreateDatasetRequest* request,
                       v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request->request_id());
    v1::Dataset& dataset = fake_.datasets[request->name()];
    dataset.set_name(request->name());
    dataset.set_state(v1::DATASET_STATE_OPEN);
    *dataset.mutable_candidates() = request->candidates();
    *response = dataset;
    return Status::OK;
  }

  Status GetDataset(ServerContext*, const v1::GetDatasetRequest* request,
                    v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    if (!fake_.validation.empty()) {
      fake_.datasets[request->name()] = fake_.validation.front();
      fake_.validation.pop_front();
    }
    const auto found = fake_.datasets.find(request->name());
    if (found == fake_.datasets.end()) {
      return ToGrpcStatus(NotFound("dataset", request->name()));
    }
    *response = found->second;
    return Status::OK;
  }

  // One dataset a page, so that clients have to turn pages.
  Status ListDatasets(ServerContext*, const v1::ListDatasetsRequest* request,
                      v1::ListDatasetsResponse* response) override {
    FAKE_BEGIN(fake_);
    auto at = fake_.datasets.lower_bound(request->page_token());
    if (at == fake_.datasets.end()) return Status::OK;
    *response->add_datasets() = at->second;
    if (++at != fake_.datasets.end()) {
      response->set_next_page_token(at->first);
    }
    return Status::OK;
  }

  Status SealDataset(ServerContext*, const v1::SealDatasetRequest* request,
                     v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request->request_id());
    v1::Dataset& dataset = fake_.datasets[request->name()];
    dataset.set_name(request->name());
    dataset.set_state(v1::DATASET_STATE_VALIDATING);
    dataset.set_status_message("no worker");
    *response = dataset;
    return Status::OK;
  }

  Status DropExamples(ServerContext*, const v1::DropExamplesRequest* request,
                      v1::Dataset* response) override {
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request->request_id());
    response->set_name(request->dataset());
    response->set_state(v1::DATASET_STATE_VALIDATING);
    return Status::OK;
  }

  Status GetUpload(ServerContext*, const v1::GetUploadRequest*,
                   v1::Upload* response) override {
    absl::MutexLock lock(&fake_.mutex);
    if (!fake_.upload.has_value()) {
      return Status(grpc::StatusCode::UNIMPLEMENTED, "");
    }
    *response = *fake_.upload;
    return Status::OK;
  }

  Status DeleteDataset(ServerContext*, const v1::DeleteDatasetRequest* request,
                       v1::DeleteDatasetResponse*) override {
    FAKE_BEGIN(fake_);
    if (fake_.datasets.erase(request->name()) == 0) {
      return ToGrpcStatus(NotFound("dataset", request->name()));
    }
    return Status::OK;
  }

  Status UploadExamples(ServerContext*,
                        grpc::ServerReader<v1::UploadExamplesRequest>* reader,
                        v1::UploadExamplesResponse* response) override {
    v1::UploadExamplesRequest request;
    reader->Read(&request);
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request.header().request_id());
    fake_.offsets.push_back(request.header().offset());
    std::string bytes =
        fake_.kept.substr(0, static_cast<size_t>(request.header().offset()));
    while (reader->Read(&request) && request.has_chunk()) {
      fake_.chunk_sizes.push_back(request.chunk().size());
      bytes += request.chunk();
    }
    if (request.end().size_bytes() != static_cast<int64_t>(bytes.size()) ||
        request.end().sha256() != Sha256Hex(bytes)) {
      return DigestError();
    }
    DelimitedDecoder decoder;
    decoder.Feed(bytes);
    v1::Example example;
    while (decoder.Next(&example).value_or(false)) {
      fake_.examples.push_back(example);
      response->set_added_count(response->added_count() + 1);
    }
    return ToGrpcStatus(decoder.Finish());
  }

  Status DownloadExamples(
      ServerContext*, const v1::DownloadExamplesRequest*,
      grpc::ServerWriter<v1::DownloadExamplesResponse>* writer) override {
    FAKE_BEGIN(fake_);
    std::string bytes;
    for (const v1::Example& example : fake_.examples) {
      AppendDelimited(example, &bytes);
    }
    SendInChunks(bytes, fake_.corrupt_downloads, writer);
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

class FakeServer::Jobs : public v1::JobService::Service {
 public:
  explicit Jobs(FakeServer& fake) : fake_(fake) {}

  Status CreateJob(ServerContext*, const v1::CreateJobRequest* request,
                   v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.created_jobs.push_back(*request);
    *response = fake_.job;
    if (!fake_.job_ids.empty()) {
      response->set_id(fake_.job_ids.front());
      fake_.job_ids.pop_front();
    }
    return Status::OK;
  }

  Status GetJob(ServerContext*, const v1::GetJobRequest* request,
                v1::Job* response) override {
    FAKE_BEGIN(fake_);
    const auto other = fake_.other_jobs.find(request->id());
    *response = other == fake_.other_jobs.end() ? fake_.job : other->second;
    return Status::OK;
  }

  Status ListJobs(ServerContext*, const v1::ListJobsRequest*,
                  v1::ListJobsResponse* response) override {
    FAKE_BEGIN(fake_);
    *response->add_jobs() = fake_.job;
    return Status::OK;
  }

  Status CancelJob(ServerContext*, const v1::CancelJobRequest* request,
                   v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.cancelled_ids.push_back(request->id());
    fake_.job.set_state(v1::JOB_STATE_CANCELLED);
    *response = fake_.job;
    return Status::OK;
  }

  Status PauseJob(ServerContext*, const v1::PauseJobRequest*,
                  v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.job.set_state(v1::JOB_STATE_PAUSED);
    *response = fake_.job;
    return Status::OK;
  }

  Status ResumeJob(ServerContext*, const v1::ResumeJobRequest*,
                   v1::Job* response) override {
    FAKE_BEGIN(fake_);
    fake_.job.set_state(v1::JOB_STATE_QUEUED);
    *response = fake_.job;
    return Status::OK;
  }

  Status RetryJob(ServerContext*, const v1::RetryJobRequest* request,
                  v1::Job* response) override {
    FAKE_BEGIN(fake_);
    *response = fake_.job;
    response->set_id("job-2");
    response->set_retry_of(request->id());
    return Status::OK;
  }

  Status ListEvents(ServerContext*, const v1::ListEventsRequest* request,
                    v1::ListEventsResponse* response) override {
    FAKE_BEGIN(fake_);
    // One event a page.
    const auto at = static_cast<size_t>(request->page_token().size());
    if (at < fake_.events.size()) *response->add_events() = fake_.events[at];
    if (at + 1 < fake_.events.size()) {
      response->set_next_page_token(request->page_token() + "x");
    }
    return Status::OK;
  }

  Status ListCheckpoints(ServerContext*, const v1::ListCheckpointsRequest*,
                         v1::ListCheckpointsResponse* response) override {
    FAKE_BEGIN(fake_);
    response->mutable_checkpoints()->Add(fake_.checkpoints.begin(),
                                         fake_.checkpoints.end());
    return Status::OK;
  }

  Status WatchJob(ServerContext*, const v1::WatchJobRequest* request,
                  grpc::ServerWriter<v1::WatchJobResponse>* writer) override {
    FAKE_BEGIN(fake_);
    fake_.watch_cursors.push_back(request->cursor());
    if (fake_.watches.empty()) return Status::OK;
    const Watch watch = std::move(fake_.watches.front());
    fake_.watches.pop_front();
    for (const v1::WatchJobResponse& message : watch.messages) {
      writer->Write(message);
    }
    return ToGrpcStatus(watch.end);
  }

  // Two rows a page.
  Status ListMetrics(ServerContext*, const v1::ListMetricsRequest* request,
                     v1::ListMetricsResponse* response) override {
    FAKE_BEGIN(fake_);
    size_t at = 0;
    if (!absl::SimpleAtoi(request->page_token(), &at)) at = 0;
    for (int i = 0; i < 2 && at < fake_.metrics.size(); ++i) {
      *response->add_rows() = fake_.metrics[at++];
    }
    if (at < fake_.metrics.size()) {
      response->set_next_page_token(absl::StrCat(at));
    }
    return Status::OK;
  }

  Status GetEvaluation(ServerContext*, const v1::GetEvaluationRequest* request,
                       v1::Evaluation* response) override {
    FAKE_BEGIN(fake_);
    const auto found = fake_.evaluations.find(request->job_id());
    *response =
        found == fake_.evaluations.end() ? fake_.evaluation : found->second;
    return Status::OK;
  }

  Status ListEvaluations(ServerContext*,
                         const v1::ListEvaluationsRequest* request,
                         v1::ListEvaluationsResponse* response) override {
    FAKE_BEGIN(fake_);
    for (const auto& [job, evaluation] : fake_.evaluations) {
      if (evaluation.model() == request->model()) {
        *response->add_evaluations() = evaluation;
      }
    }
    if (fake_.evaluations.empty()) {
      *response->add_evaluations() = fake_.evaluation;
    }
    for (v1::Evaluation& evaluation : *response->mutable_evaluations()) {
      evaluation.clear_part_figures();
    }
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

class FakeServer::Models : public v1::ModelService::Service {
 public:
  explicit Models(FakeServer& fake) : fake_(fake) {}

  Status ImportModel(ServerContext*,
                     grpc::ServerReader<v1::ImportModelRequest>* reader,
                     v1::Version* response) override {
    v1::ImportModelRequest request;
    reader->Read(&request);
    FAKE_BEGIN(fake_);
    fake_.request_ids.push_back(request.header().request_id());
    fake_.offsets.push_back(request.header().offset());
    std::string bytes =
        fake_.kept.substr(0, static_cast<size_t>(request.header().offset()));
    while (reader->Read(&request) && request.has_chunk()) {
      fake_.chunk_sizes.push_back(request.chunk().size());
      bytes += request.chunk();
    }
    if (request.end().size_bytes() != static_cast<int64_t>(bytes.size()) ||
        request.end().sha256() != Sha256Hex(bytes)) {
      return DigestError();
    }
    fake_.model_file = bytes;
    *response = fake_.version;
    return Status::OK;
  }

  Status GetImport(ServerContext*, const v1::GetImportRequest*,
                   v1::Import* response) override {
    absl::MutexLock lock(&fake_.mutex);
    if (!fake_.import.has_value()) {
      return Status(grpc::StatusCode::UNIMPLEMENTED, "");
    }
    *response = *fake_.import;
    return Status::OK;
  }

  Status GetVersion(ServerContext*, const v1::GetVersionRequest*,
                    v1::Version* response) override {
    FAKE_BEGIN(fake_);
    *response = fake_.version;
    return Status::OK;
  }

  Status ExportVersion(
      ServerContext*, const v1::ExportVersionRequest*,
      grpc::ServerWriter<v1::ExportVersionResponse>* writer) override {
    FAKE_BEGIN(fake_);
    SendInChunks(fake_.model_file, fake_.corrupt_downloads, writer);
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

class FakeServer::Inference : public v1::InferenceService::Service {
 public:
  explicit Inference(FakeServer& fake) : fake_(fake) {}

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

class FakeServer::Workers : public v1::WorkerService::Service {
 public:
  explicit Workers(FakeServer& fake) : fake_(fake) {}

  Status ListWorkers(ServerContext*, const v1::ListWorkersRequest*,
                     v1::ListWorkersResponse* response) override {
    FAKE_BEGIN(fake_);
    v1::Worker& worker = *response->add_workers();
    worker.set_id("host-1-abc");
    worker.set_state(v1::WORKER_STATE_IDLE);
    worker.add_roles(v1::WORKER_ROLE_TRAIN);
    worker.mutable_device()->set_kind("cpu");
    return Status::OK;
  }

 private:
  FakeServer& fake_;
};

FakeServer::FakeServer()
    : datasets_service_(std::make_unique<Datasets>(*this)),
      jobs_service_(std::make_unique<Jobs>(*this)),
      models_service_(std::make_unique<Models>(*this)),
      inference_service_(std::make_unique<Inference>(*this)),
      workers_service_(std::make_unique<Workers>(*this)) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  ApplyServerLimits(builder);
  builder.RegisterService(datasets_service_.get());
  builder.RegisterService(jobs_service_.get());
  builder.RegisterService(models_service_.get());
  builder.RegisterService(inference_service_.get());
  builder.RegisterService(workers_service_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() { server_->Shutdown(); }

absl::Status FakeServer::Begin() {
  absl::MutexLock lock(&mutex);
  ++call_count;
  if (failures.empty()) return absl::OkStatus();
  absl::Status failure = failures.front();
  failures.pop_front();
  return failure;
}

}  // namespace attune::client
