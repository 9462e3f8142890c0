#include "worker/transport/server_connection.h"

#include <grpcpp/client_context.h>

#include <iterator>
#include <utility>

#include "common/grpc/status_conversion.h"
#include "common/grpc/time_conversion.h"
#include "common/status_macros.h"
#include "worker/transport/retry.h"

namespace attune::transport {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(15);
// Completing a task moves rows and aliases in one transaction that may wait
// for others.
constexpr absl::Duration kCommitTimeout = absl::Seconds(60);
// Beside the time that a long poll asks for.
constexpr absl::Duration kPollMargin = absl::Seconds(10);
constexpr int kExamplePageSize = 2'000;

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(ServerConnection& connection,
                              absl::Duration timeout, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                           const Request&,
                                                           Response*),
                              const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  StopSignal::Scope scope(connection.stop(), context);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return connection.EndOfCall(status);
  return response;
}

using WorkerStub = v1::WorkerService::Stub;

}  // namespace

ServerConnection::ServerConnection(std::shared_ptr<grpc::Channel> channel,
                                   StopSignal& stop)
    : channel_(std::move(channel)),
      worker_(v1::WorkerService::NewStub(channel_)),
      dataset_(v1::DatasetService::NewStub(channel_)),
      stop_(stop) {}

absl::Status ServerConnection::EndOfCall(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::CANCELLED && !stop_.stopped()) {
    return absl::UnavailableError("the server ended the call as it stopped");
  }
  return FromGrpcStatus(status);
}

absl::StatusOr<v1::RegisterResponse> ServerConnection::Register(
    const v1::RegisterRequest& request) {
  return Call(*this, kCallTimeout, *worker_, &WorkerStub::Register, request);
}

absl::StatusOr<std::optional<v1::Task>> ServerConnection::LeaseTask(
    const std::string& worker_id, absl::Duration wait) {
  v1::LeaseTaskRequest request;
  request.set_worker_id(worker_id);
  *request.mutable_wait() = ToProtoDuration(wait);
  ATTUNE_ASSIGN_OR_RETURN(v1::LeaseTaskResponse response,
                          Call(*this, wait + kPollMargin, *worker_,
                               &WorkerStub::LeaseTask, request));
  if (!response.has_task()) return std::nullopt;
  return std::move(*response.mutable_task());
}

absl::StatusOr<v1::HeartbeatResponse> ServerConnection::Heartbeat(
    const v1::HeartbeatRequest& request, absl::Duration timeout) {
  return Call(*this, timeout, *worker_, &WorkerStub::Heartbeat, request);
}

absl::Status ServerConnection::ReportMetrics(
    const v1::ReportMetricsRequest& request) {
  return Call(*this, kCallTimeout, *worker_, &WorkerStub::ReportMetrics,
              request)
      .status();
}

absl::Status ServerConnection::CommitCheckpoint(
    const v1::CommitCheckpointRequest& request) {
  return Call(*this, kCommitTimeout, *worker_, &WorkerStub::CommitCheckpoint,
              request)
      .status();
}

absl::StatusOr<v1::CompleteTaskResponse> ServerConnection::CompleteTask(
    const v1::CompleteTaskRequest& request) {
  return Call(*this, kCommitTimeout, *worker_, &WorkerStub::CompleteTask,
              request);
}

absl::Status ServerConnection::FailTask(const std::string& lease_token,
                                        v1::FailTaskRequest::Kind kind,
                                        const std::string& reason,
                                        const std::string& message) {
  v1::FailTaskRequest request;
  request.set_lease_token(lease_token);
  request.set_kind(kind);
  request.set_reason(reason);
  request.set_message(message);
  return Call(*this, kCallTimeout, *worker_, &WorkerStub::FailTask, request)
      .status();
}

absl::StatusOr<std::vector<std::string>> ServerConnection::FindMissingBlobs(
    const std::vector<std::string>& digests) {
  v1::FindMissingBlobsRequest request;
  request.mutable_digests()->Add(digests.begin(), digests.end());
  ATTUNE_ASSIGN_OR_RETURN(v1::FindMissingBlobsResponse response,
                          Call(*this, kCommitTimeout, *worker_,
                               &WorkerStub::FindMissingBlobs, request));
  return std::vector<std::string>(response.digests().begin(),
                                  response.digests().end());
}

absl::StatusOr<std::vector<v1::Example>> ServerConnection::ListExamples(
    const std::string& dataset, std::string* page_token) {
  v1::ListExamplesRequest request;
  request.set_dataset(dataset);
  request.set_page_size(kExamplePageSize);
  request.set_page_token(*page_token);
  ATTUNE_ASSIGN_OR_RETURN(
      v1::ListExamplesResponse response,
      Call(*this, kCommitTimeout, *dataset_,
           &v1::DatasetService::Stub::ListExamples, request));
  *page_token = response.next_page_token();
  return std::vector<v1::Example>(
      std::make_move_iterator(response.mutable_examples()->begin()),
      std::make_move_iterator(response.mutable_examples()->end()));
}

absl::StatusOr<std::vector<v1::Example>> ListAllExamples(
    ServerConnection& connection, const std::string& dataset) {
  std::vector<v1::Example> examples;
  std::string page_token;
  do {
    std::vector<v1::Example> page;
    ATTUNE_RETURN_IF_ERROR(Retry(connection.stop(), "ListExamples", [&] {
      std::string token = page_token;
      absl::StatusOr<std::vector<v1::Example>> listed =
          connection.ListExamples(dataset, &token);
      if (!listed.ok()) return listed.status();
      page = *std::move(listed);
      page_token = token;
      return absl::OkStatus();
    }));
    examples.insert(examples.end(), std::make_move_iterator(page.begin()),
                    std::make_move_iterator(page.end()));
  } while (!page_token.empty());
  return examples;
}

}  // namespace attune::transport
