// The worker's unary calls to attune-server.

#ifndef ATTUNE_WORKER_TRANSPORT_SERVER_CONNECTION_H_
#define ATTUNE_WORKER_TRANSPORT_SERVER_CONNECTION_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/v1/dataset_service.grpc.pb.h"
#include "attune/v1/worker_service.grpc.pb.h"
#include "worker/transport/stop_signal.h"

namespace attune::transport {

// Each method makes one call, without trying again, and ends it with
// CANCELLED when the stop signal comes. A deadline holds for every call.
// Thread-safe.
class ServerConnection {
 public:
  // Neither `stop` nor what the channel needs may die before this.
  ServerConnection(std::shared_ptr<grpc::Channel> channel, StopSignal& stop);
  // The same channel with another stop signal.
  ServerConnection(const ServerConnection& other, StopSignal& stop)
      : ServerConnection(other.channel_, stop) {}

  // `listener` hears of every chunk of a blob that comes or goes, from the
  // thread that moves it. Call before the first call.
  void SetTransferListener(std::function<void()> listener) {
    transfer_listener_ = std::move(listener);
  }
  void ChunkMoved() const {
    if (transfer_listener_) transfer_listener_();
  }

  // How a call ended. One that nobody here has cancelled was cut off by a
  // server that stops: UNAVAILABLE.
  absl::Status EndOfCall(const grpc::Status& status) const;

  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest&);
  // A task, or nothing when none came within `wait`.
  absl::StatusOr<std::optional<v1::Task>> LeaseTask(
      const std::string& worker_id, absl::Duration wait);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest&,
                                                  absl::Duration timeout);
  absl::Status ReportMetrics(const v1::ReportMetricsRequest&);
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest&);
  absl::StatusOr<v1::CompleteTaskResponse> CompleteTask(
      const v1::CompleteTaskRequest&);
  absl::Status FailTask(const std::string& lease_token,
                        v1::FailTaskRequest::Kind kind,
                        const std::string& reason, const std::string& message);
  // Those of `digests`, at most 10,000, that the server does not have.
  absl::StatusOr<std::vector<std::string>> FindMissingBlobs(
      const std::vector<std::string>& digests);
  // One page; the token of the next goes to `*page_token`, "" on the last.
  absl::StatusOr<std::vector<v1::Example>> ListExamples(
      const std::string& dataset, std::string* page_token);

  v1::WorkerService::Stub& worker_stub() { return *worker_; }
  StopSignal& stop() { return stop_; }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  std::function<void()> transfer_listener_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
  std::unique_ptr<v1::DatasetService::Stub> dataset_;
  StopSignal& stop_;
};

// All examples of a dataset, in order of upload, without image bytes. Tries
// again while the server cannot be reached.
absl::StatusOr<std::vector<v1::Example>> ListAllExamples(
    ServerConnection& connection, const std::string& dataset);

}  // namespace attune::transport

#endif  // ATTUNE_WORKER_TRANSPORT_SERVER_CONNECTION_H_
