// A typed client of attune-server.

#ifndef ATTUNE_CLIENT_ATTUNE_CLIENT_H_
#define ATTUNE_CLIENT_ATTUNE_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "attune/v1/dataset_service.grpc.pb.h"
#include "attune/v1/inference_service.grpc.pb.h"
#include "attune/v1/job_service.grpc.pb.h"
#include "attune/v1/model_service.grpc.pb.h"
#include "attune/v1/worker_service.grpc.pb.h"
#include "client/retry.h"
#include "common/grpc/client_security.h"

namespace attune::client {

struct ClientOptions {
  // HOST:PORT.
  std::string server = "127.0.0.1:7700";
  ClientSecurity security = {};
  // Of a call, its retries included.
  absl::Duration call_timeout = absl::Seconds(30);
  // Of an inference call, which may have to load a version first.
  absl::Duration inference_timeout = absl::Seconds(120);
  // Of an upload or a download.
  absl::Duration transfer_timeout = absl::Hours(6);
  RetryPolicy retry = {};
};

// Bytes done of bytes in all, or -1 where the total is not known.
using TransferProgress = std::function<void(int64_t done, int64_t total)>;

// What is uploaded: `count` examples that can be read more than once, and are
// the same each time: an upload whose connection broke goes on where it was
// cut, and reads those before to know the digest of everything.
struct ExampleSource {
  int64_t count = 0;
  // The example with this index, from 0, with its image bytes.
  std::function<absl::StatusOr<v1::Example>(int64_t index)> read;
};

// The calls of the public services. The fields of requests and replies are
// described in proto/attune/v1.
//
// A mutation without a request_id gets a new one, once per call of a method,
// so that its retries have one effect. Every call is a read or such a
// mutation, hence every call is tried again on UNAVAILABLE.
//
// Errors are the server's, with their reason and fields (common/error.h), and
// UNAVAILABLE with reason SERVER_UNREACHABLE when nobody answers.
// Thread-safe.
class AttuneClient {
 public:
  explicit AttuneClient(ClientOptions options);

  const ClientOptions& options() const { return options_; }

  absl::StatusOr<v1::Dataset> CreateDataset(v1::CreateDatasetRequest request);
  // Streams the examples in chunks with their SHA-256, and after UNAVAILABLE
  // goes on where the server says. An error of `source` ends the upload, and
  // then the dataset has not changed.
  absl::StatusOr<v1::UploadExamplesResponse> UploadExamples(
      const std::string& dataset, const ExampleSource& source,
      const TransferProgress& progress = nullptr);
  absl::StatusOr<v1::Upload> GetUpload(v1::GetUploadRequest request);
  absl::StatusOr<v1::Dataset> SealDataset(v1::SealDatasetRequest request);
  absl::StatusOr<v1::Dataset> GetDataset(v1::GetDatasetRequest request);
  absl::StatusOr<v1::ListDatasetsResponse> ListDatasets(
      v1::ListDatasetsRequest request);
  absl::StatusOr<v1::ListExamplesResponse> ListExamples(
      v1::ListExamplesRequest request);
  // Calls `visit` with every example. The examples are what was stored only
  // when OK is returned: DATA_LOSS, reason DIGEST_MISMATCH, when the stream
  // does not have the digest that the server announces. An error of `visit`
  // ends the download. Not retried.
  absl::Status DownloadExamples(
      const std::string& dataset,
      const std::function<absl::Status(const v1::Example&)>& visit);
  absl::StatusOr<v1::Dataset> DropExamples(v1::DropExamplesRequest request);
  absl::Status DeleteDataset(v1::DeleteDatasetRequest request);

  absl::StatusOr<v1::Job> CreateJob(v1::CreateJobRequest request);
  absl::StatusOr<v1::Job> GetJob(v1::GetJobRequest request);
  absl::StatusOr<v1::ListJobsResponse> ListJobs(v1::ListJobsRequest request);
  absl::StatusOr<v1::Job> CancelJob(v1::CancelJobRequest request);
  absl::StatusOr<v1::Job> PauseJob(v1::PauseJobRequest request);
  absl::StatusOr<v1::Job> ResumeJob(v1::ResumeJobRequest request);
  absl::StatusOr<v1::Job> RetryJob(v1::RetryJobRequest request);
  // Calls `visit` with every message until the job has ended, and returns the
  // job. Goes on where it stopped when the connection or the server is lost
  // for less than `patience`. An error of `visit` ends it.
  absl::StatusOr<v1::Job> WatchJob(
      const std::string& id,
      const std::function<absl::Status(const v1::WatchJobResponse&)>& visit,
      absl::Duration patience = absl::Minutes(2));
  absl::StatusOr<v1::ListMetricsResponse> ListMetrics(
      v1::ListMetricsRequest request);
  absl::StatusOr<v1::ListEventsResponse> ListEvents(
      v1::ListEventsRequest request);
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(
      v1::ListCheckpointsRequest request);
  absl::StatusOr<v1::Evaluation> GetEvaluation(
      v1::GetEvaluationRequest request);
  absl::StatusOr<v1::ListEvaluationsResponse> ListEvaluations(
      v1::ListEvaluationsRequest request);

  // Streams the safetensors file at `path` with its SHA-256, and after
  // UNAVAILABLE goes on where the server says. NOT_FOUND, reason
  // FILE_NOT_FOUND, when it cannot be opened.
  absl::StatusOr<v1::Version> ImportModel(
      const std::string& model, const std::string& path,
      const TransferProgress& progress = nullptr);
  absl::StatusOr<v1::Import> GetImport(v1::GetImportRequest request);
  absl::StatusOr<v1::Model> GetModel(v1::GetModelRequest request);
  absl::StatusOr<v1::ListModelsResponse> ListModels(
      v1::ListModelsRequest request);
  absl::StatusOr<v1::ListVersionsResponse> ListVersions(
      v1::ListVersionsRequest request);
  absl::StatusOr<v1::Version> GetVersion(v1::GetVersionRequest request);
  // Writes the version to the file `path`: first to a file beside it, which
  // takes the name once its digest is verified, so that `path` never holds
  // half a model. DATA_LOSS, reason DIGEST_MISMATCH. Returns the bytes
  // written.
  absl::StatusOr<int64_t> ExportVersion(
      const std::string& version, const std::string& path,
      const TransferProgress& progress = nullptr);
  absl::StatusOr<v1::Model> SetAlias(v1::SetAliasRequest request);
  absl::Status DeleteModel(v1::DeleteModelRequest request);

  absl::StatusOr<v1::EmbedImagesResponse> EmbedImages(
      v1::EmbedImagesRequest request);
  absl::StatusOr<v1::EmbedTextsResponse> EmbedTexts(
      v1::EmbedTextsRequest request);
  absl::StatusOr<v1::ClassifyImagesResponse> ClassifyImages(
      v1::ClassifyImagesRequest request);
  absl::StatusOr<v1::CompareResponse> Compare(v1::CompareRequest request);

  absl::StatusOr<v1::ListWorkersResponse> ListWorkers(
      v1::ListWorkersRequest request);

 private:
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      Request request, absl::Duration timeout) const;

  // The error as absl::Status; one that no server has sent says what to do.
  absl::Status ToError(const grpc::Status& status) const;

  // One try of the streaming calls. The messages that WatchOnce receives move
  // `*request`'s cursor and `*job`.
  absl::StatusOr<v1::UploadExamplesResponse> UploadOnce(
      const v1::UploadExamplesRequest::Header& header,
      const ExampleSource& source, const TransferProgress& progress,
      absl::Time deadline);
  absl::StatusOr<v1::Version> ImportOnce(
      const v1::ImportModelRequest::Header& header, const std::string& path,
      const TransferProgress& progress, absl::Time deadline);
  absl::Status ExportOnce(
      const v1::Version& version, absl::Time deadline,
      const std::function<absl::Status(absl::string_view)>& write);
  absl::Status WatchOnce(
      const std::function<absl::Status(const v1::WatchJobResponse&)>& visit,
      v1::WatchJobRequest* request, v1::Job* job);

  ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::DatasetService::Stub> datasets_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
};

// Whether a job in this state has ended.
bool IsFinal(v1::JobState state);

// Calls `list` (a List… method bound to its client) for one page after the
// other and `visit` with every reply, until the last page or an error.
template <typename Request, typename List, typename Visit>
absl::Status ForEachPage(Request request, const List& list,
                         const Visit& visit) {
  while (true) {
    auto page = list(request);
    if (!page.ok()) return page.status();
    visit(*page);
    if (page->next_page_token().empty()) return absl::OkStatus();
    request.set_page_token(page->next_page_token());
  }
}

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_ATTUNE_CLIENT_H_
