#include "client/attune_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/status_conversion.h"
#include "common/ids.h"

namespace attune::client {
namespace {

// Above the largest reply: 10,000 texts of 1,024 dimensions, or as many
// examples with their texts.
constexpr int kMaxReplyBytes = 128 << 20;

}  // namespace

AttuneClient::AttuneClient(ClientOptions options)
    : options_(std::move(options)),
      channel_(ConnectTo(options_.server, {.max_receive_bytes = kMaxReplyBytes,
                                           .user_agent = "attune-client",
                                           .security = options_.security})),
      datasets_(v1::DatasetService::NewStub(channel_)),
      jobs_(v1::JobService::NewStub(channel_)),
      models_(v1::ModelService::NewStub(channel_)),
      inference_(v1::InferenceService::NewStub(channel_)),
      workers_(v1::WorkerService::NewStub(channel_)) {}

absl::Status AttuneClient::ToError(const grpc::Status& status) const {
  absl::Status error = FromGrpcStatus(status);
  if (!ErrorReason(error).empty()) return error;
  // Nothing here cancels a call, so the server did, which was stopped.
  if (absl::IsCancelled(error)) {
    return Error(absl::StatusCode::kUnavailable, "SERVER_STOPPED",
                 absl::StrCat("the attune-server at ", options_.server,
                              " stopped during the call"));
  }
  const bool connected =
      channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
  if (absl::IsUnavailable(error) ||
      (absl::IsDeadlineExceeded(error) && !connected)) {
    // gRPC chains its causes with ": "; the last one is for people.
    absl::string_view cause = error.message();
    if (const size_t at = cause.rfind(": "); at != cause.npos) {
      cause.remove_prefix(at + 2);
    }
    return Error(absl::StatusCode::kUnavailable, "SERVER_UNREACHABLE",
                 absl::StrCat("no attune-server answers at ", options_.server,
                              " (", cause,
                              "): start one there, or name another address "
                              "with --server or ATTUNE_SERVER. ",
                              options_.security.tls.ca.empty()
                                  ? "Does it use TLS? Pass --tls-ca"
                                  : "Does it use TLS, with a certificate for "
                                    "this address that --tls-ca has signed?"));
  }
  return error;
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> AttuneClient::Call(
    Stub& stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    Request request, absl::Duration timeout) const {
  if constexpr (requires { request.request_id(); }) {
    if (request.request_id().empty()) request.set_request_id(NewUuid());
  }
  const absl::Time deadline = absl::Now() + timeout;
  Response response;
  absl::Status status = RetryUnavailable(options_.retry, deadline, [&] {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    response.Clear();
    return ToError((stub.*method)(&context, request, &response));
  });
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::Dataset> AttuneClient::CreateDataset(
    v1::CreateDatasetRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::CreateDataset,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::Upload> AttuneClient::GetUpload(
    v1::GetUploadRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::GetUpload,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::Dataset> AttuneClient::SealDataset(
    v1::SealDatasetRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::SealDataset,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::Dataset> AttuneClient::GetDataset(
    v1::GetDatasetRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::GetDataset,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::ListDatasetsResponse> AttuneClient::ListDatasets(
    v1::ListDatasetsRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::ListDatasets,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::ListExamplesResponse> AttuneClient::ListExamples(
    v1::ListExamplesRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::ListExamples,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::Dataset> AttuneClient::DropExamples(
    v1::DropExamplesRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::DropExamples,
              std::move(request), options_.call_timeout);
}

absl::Status AttuneClient::DeleteDataset(v1::DeleteDatasetRequest request) {
  return Call(*datasets_, &v1::DatasetService::Stub::DeleteDataset,
              std::move(request), options_.call_timeout)
      .status();
}

absl::StatusOr<v1::Job> AttuneClient::CreateJob(v1::CreateJobRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::CreateJob, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::Job> AttuneClient::GetJob(v1::GetJobRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::GetJob, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::ListJobsResponse> AttuneClient::ListJobs(
    v1::ListJobsRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::ListJobs, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::Job> AttuneClient::CancelJob(v1::CancelJobRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::CancelJob, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::Job> AttuneClient::PauseJob(v1::PauseJobRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::PauseJob, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::Job> AttuneClient::ResumeJob(v1::ResumeJobRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::ResumeJob, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::Job> AttuneClient::RetryJob(v1::RetryJobRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::RetryJob, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::ListMetricsResponse> AttuneClient::ListMetrics(
    v1::ListMetricsRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::ListMetrics, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::ListEventsResponse> AttuneClient::ListEvents(
    v1::ListEventsRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::ListEvents, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::ListCheckpointsResponse> AttuneClient::ListCheckpoints(
    v1::ListCheckpointsRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::ListCheckpoints,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::Evaluation> AttuneClient::GetEvaluation(
    v1::GetEvaluationRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::GetEvaluation, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::ListEvaluationsResponse> AttuneClient::ListEvaluations(
    v1::ListEvaluationsRequest request) {
  return Call(*jobs_, &v1::JobService::Stub::ListEvaluations,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::Import> AttuneClient::GetImport(
    v1::GetImportRequest request) {
  return Call(*models_, &v1::ModelService::Stub::GetImport, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::Model> AttuneClient::GetModel(v1::GetModelRequest request) {
  return Call(*models_, &v1::ModelService::Stub::GetModel, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::ListModelsResponse> AttuneClient::ListModels(
    v1::ListModelsRequest request) {
  return Call(*models_, &v1::ModelService::Stub::ListModels, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::ListVersionsResponse> AttuneClient::ListVersions(
    v1::ListVersionsRequest request) {
  return Call(*models_, &v1::ModelService::Stub::ListVersions,
              std::move(request), options_.call_timeout);
}

absl::StatusOr<v1::Version> AttuneClient::GetVersion(
    v1::GetVersionRequest request) {
  return Call(*models_, &v1::ModelService::Stub::GetVersion, std::move(request),
              options_.call_timeout);
}

absl::StatusOr<v1::Model> AttuneClient::SetAlias(v1::SetAliasRequest request) {
  return Call(*models_, &v1::ModelService::Stub::SetAlias, std::move(request),
              options_.call_timeout);
}

absl::Status AttuneClient::DeleteModel(v1::DeleteModelRequest request) {
  return Call(*models_, &v1::ModelService::Stub::DeleteModel,
              std::move(request), options_.call_timeout)
      .status();
}

absl::StatusOr<v1::EmbedImagesResponse> AttuneClient::EmbedImages(
    v1::EmbedImagesRequest request) {
  return Call(*inference_, &v1::InferenceService::Stub::EmbedImages,
              std::move(request), options_.inference_timeout);
}

absl::StatusOr<v1::EmbedTextsResponse> AttuneClient::EmbedTexts(
    v1::EmbedTextsRequest request) {
  return Call(*inference_, &v1::InferenceService::Stub::EmbedTexts,
              std::move(request), options_.inference_timeout);
}

absl::StatusOr<v1::ClassifyImagesResponse> AttuneClient::ClassifyImages(
    v1::ClassifyImagesRequest request) {
  return Call(*inference_, &v1::InferenceService::Stub::ClassifyImages,
              std::move(request), options_.inference_timeout);
}

absl::StatusOr<v1::CompareResponse> AttuneClient::Compare(
    v1::CompareRequest request) {
  return Call(*inference_, &v1::InferenceService::Stub::Compare,
              std::move(request), options_.inference_timeout);
}

absl::StatusOr<v1::ListWorkersResponse> AttuneClient::ListWorkers(
    v1::ListWorkersRequest request) {
  return Call(*workers_, &v1::WorkerService::Stub::ListWorkers,
              std::move(request), options_.call_timeout);
}

bool IsFinal(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

}  // namespace attune::client
