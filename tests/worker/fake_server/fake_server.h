#ifndef ATTUNE_TESTS_WORKER_FAKE_SERVER_FAKE_SERVER_H_
#define ATTUNE_TESTS_WORKER_FAKE_SERVER_FAKE_SERVER_H_

#include <grpcpp/server.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/dataset_service.grpc.pb.h"
#include "attune/v1/worker_service.grpc.pb.h"

namespace attune::test {

// attune-server as a worker sees it, in memory and over real gRPC on a free
// port: it hands out the tasks and blobs that a test gave it, checks lease
// tokens as the contract says, keeps what it is told, and fails on request.
// Thread-safe.
class FakeServer {
 public:
  // Everything that workers have told it.
  struct Seen {
    std::vector<v1::RegisterRequest> registrations;
    std::vector<v1::HeartbeatRequest> heartbeats;
    std::vector<v1::ReportMetricsRequest> reports;
    std::vector<std::string> put_digests;
    std::vector<v1::CommitCheckpointRequest> checkpoints;
    // How many of `reports` came before each.
    std::vector<size_t> reports_before_checkpoint;
    std::vector<v1::CompleteTaskRequest> completions;
    std::vector<v1::FailTaskRequest> failures;
    std::vector<v1::ServeRequest> serve_requests;
    int serve_streams = 0;
    std::map<std::string, int> calls;
  };

  FakeServer();
  ~FakeServer();

  const std::string& address() const { return address_; }

  // A task for the next LeaseTask; its token becomes good.
  void AddTask(const v1::Task& task);
  void AddLease(const std::string& lease_token);
  void LoseLease(const std::string& lease_token);
  void AddExamples(const std::string& dataset,
                   const std::vector<v1::Example>& examples);
  // Returns its digest.
  std::string AddBlob(const std::string& bytes);
  // Makes GetBlobs send `bytes` for `digest`, whatever they are.
  void DamageBlob(const std::string& digest, const std::string& bytes);
  bool HasBlob(const std::string& digest) const;
  std::string GetBlob(const std::string& digest) const;
  void SetWish(v1::HeartbeatResponse::Wish wish);
  void SetHeartbeatInterval(absl::Duration interval);

  // The next `count` calls of `method` end with `status`.
  void Fail(const std::string& method, const absl::Status& status, int count);

  // Sends a message down every Serve stream, now or when one opens.
  void PushServe(const v1::ServeResponse& message);
  // Ends the Serve streams that are open.
  void CutServeStreams();

  Seen seen() const;
  // Waits up to 60 s until `condition` holds of what was seen.
  bool Await(const std::function<bool(const Seen&)>& condition) const;

 private:
  class Worker;
  class Dataset;

  struct State {
    Seen seen;
    std::deque<v1::Task> tasks;
    std::set<std::string> leases;
    std::map<std::string, std::string> blobs;
    std::map<std::string, std::vector<v1::Example>> examples;
    std::map<std::string, std::deque<absl::Status>> failures;
    std::vector<v1::ServeResponse> pushed;
    int cuts = 0;
    v1::HeartbeatResponse::Wish wish = v1::HeartbeatResponse::WISH_CONTINUE;
    absl::Duration heartbeat_interval = absl::Milliseconds(20);
    bool ending = false;
  };

  // Counts a call and says how it shall end.
  absl::Status Enter(const std::string& method)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckLease(const std::string& token) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Dataset> dataset_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace attune::test

#endif  // ATTUNE_TESTS_WORKER_FAKE_SERVER_FAKE_SERVER_H_
