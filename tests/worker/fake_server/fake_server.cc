#include "tests/worker/fake_server/fake_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "common/grpc/status_conversion.h"
#include "common/grpc/time_conversion.h"

namespace attune::test {
namespace {

constexpr absl::Duration kAwaitLimit = absl::Seconds(60);
// Small, so that a few examples already make several pages.
constexpr size_t kExamplePage = 2;
// Small, so that a blob takes several chunks.
constexpr size_t kChunk = 1'000;

}  // namespace

class FakeServer::Worker : public v1::WorkerService::Service {
 public:
  explicit Worker(FakeServer& fake) : fake_(fake) {}

  grpc::Status Register(grpc::ServerContext*,
                        const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    if (auto status = fake_.Enter("Register"); !status.ok()) {
      return ToGrpcStatus(status);
    }
    fake_.state_.seen.registrations.push_back(*request);
    *response->mutable_heartbeat_interval() =
        ToProtoDuration(fake_.state_.heartbeat_interval);
    *response->mutable_lease_duration() = ToProtoDuration(absl::Seconds(30));
    return grpc::Status::OK;
  }

  grpc::Status LeaseTask(grpc::ServerContext* context,
                         const v1::LeaseTaskRequest* request,
                         v1::LeaseTaskResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    if (auto status = fake_.Enter("LeaseTask"); !status.ok()) {
      return ToGrpcStatus(status);
    }
    const absl::Time end = absl::Now() + FromProtoDuration(request->wait());
    while (fake_.state_.tasks.empty() && absl::Now() < end &&
           !context->IsCancelled() && !fake_.state_.ending) {
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(fake_.mutex_) {
        return !fake_.state_.tasks.empty() || fake_.state_.ending;
      };
      fake_.mutex_.AwaitWithTimeout(absl::Condition(&ready),
                                    absl::Milliseconds(20));
    }
    if (!fake_.state_.tasks.empty()) {
      *response->mutable_task() = fake_.state_.tasks.front();
      fake_.state_.leases.insert(response->task().lease_token());
      fake_.state_.tasks.pop_front();
    }
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(grpc::ServerContext*,
                         const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    auto status = fake_.Enter("Heartbeat");
    if (status.ok() && !request->lease_token().empty()) {
      status = fake_.CheckLease(request->lease_token());
    }
    if (!status.ok()) return ToGrpcStatus(status);
    fake_.state_.seen.heartbeats.push_back(*request);
    response->set_wish(fake_.state_.wish);
    return grpc::Status::OK;
  }

  grpc::Status ReportMetrics(grpc::ServerContext*,
                             const v1::ReportMetricsRequest* request,
                             v1::ReportMetricsResponse*) override {
    return Record("ReportMetrics", *request, &Seen::reports);
  }

  grpc::Status CommitCheckpoint(grpc::ServerContext*,
                                const v1::CommitCheckpointRequest* request,
                                v1::CommitCheckpointResponse*) override {
    {
      absl::MutexLock lock(&fake_.mutex_);
      Seen& seen = fake_.state_.seen;
      seen.reports_before_checkpoint.push_back(seen.reports.size());
    }
    return Record("CommitCheckpoint", *request, &Seen::checkpoints);
  }

  grpc::Status CompleteTask(grpc::ServerContext*,
                            const v1::CompleteTaskRequest* request,
                            v1::CompleteTaskResponse*) override {
    return Record("CompleteTask", *request, &Seen::completions);
  }

  grpc::Status FailTask(grpc::ServerContext*,
                        const v1::FailTaskRequest* request,
                        v1::FailTaskResponse*) override {
    return Record("FailTask", *request, &Seen::failures);
  }

  grpc::Status FindMissingBlobs(
      grpc::ServerContext*, const v1::FindMissingBlobsRequest* request,
      v1::FindMissingBlobsResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    if (auto status = fake_.Enter("FindMissingBlobs"); !status.ok()) {
      return ToGrpcStatus(status);
    }
    for (const std::string& digest : request->digests()) {
      if (fake_.state_.blobs.count(digest) == 0) response->add_digests(digest);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetBlobs(
      grpc::ServerContext*, const v1::GetBlobsRequest* request,
      grpc::ServerWriter<v1::GetBlobsResponse>* writer) override {
    for (int i = 0; i < request->digests_size(); ++i) {
      std::string bytes;
      {
        absl::MutexLock lock(&fake_.mutex_);
        // Counted for each blob, so that a test can break a stream inside.
        if (auto status = fake_.Enter("GetBlobs"); !status.ok()) {
          return ToGrpcStatus(status);
        }
        const auto found = fake_.state_.blobs.find(request->digests(i));
        if (found == fake_.state_.blobs.end()) {
          return ToGrpcStatus(NotFound("blob", request->digests(i)));
        }
        bytes = found->second;
      }
      size_t at = 0;
      do {
        v1::GetBlobsResponse response;
        response.set_index(i);
        response.set_chunk(bytes.substr(at, kChunk));
        at += response.chunk().size();
        response.set_last(at == bytes.size());
        writer->Write(response);
      } while (at < bytes.size());
    }
    return grpc::Status::OK;
  }

  grpc::Status PutBlobs(grpc::ServerContext*,
                        grpc::ServerReader<v1::PutBlobsRequest>* reader,
                        v1::PutBlobsResponse* response) override {
    std::map<std::string, std::string> blobs;
    std::string token, digest;
    v1::PutBlobsRequest request;
    while (reader->Read(&request)) {
      if (!request.lease_token().empty()) token = request.lease_token();
      if (!request.digest().empty()) digest = request.digest();
      blobs[digest].append(request.chunk());
    }
    absl::MutexLock lock(&fake_.mutex_);
    auto status = fake_.Enter("PutBlobs");
    if (status.ok()) status = fake_.CheckLease(token);
    for (const auto& [name, bytes] : blobs) {
      if (status.ok() && Sha256Hex(bytes) != name) {
        status = absl::DataLossError(name);
      }
    }
    if (!status.ok()) return ToGrpcStatus(status);
    for (auto& [name, bytes] : blobs) {
      fake_.state_.seen.put_digests.push_back(name);
      fake_.state_.blobs[name] = bytes;
    }
    response->set_stored_count(static_cast<int64_t>(blobs.size()));
    return grpc::Status::OK;
  }

  grpc::Status Serve(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ServeResponse, v1::ServeRequest>* stream)
      override {
    int cuts = 0;
    {
      absl::MutexLock lock(&fake_.mutex_);
      if (auto status = fake_.Enter("Serve"); !status.ok()) {
        return ToGrpcStatus(status);
      }
      ++fake_.state_.seen.serve_streams;
      cuts = fake_.state_.cuts;
    }
    std::thread writer([&] {
      size_t sent = 0;
      while (true) {
        v1::ServeResponse message;
        {
          absl::MutexLock lock(&fake_.mutex_);
          const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(fake_.mutex_) {
            return fake_.state_.ending || fake_.state_.cuts != cuts ||
                   fake_.state_.pushed.size() > sent;
          };
          while (!ready() && !context->IsCancelled()) {
            fake_.mutex_.AwaitWithTimeout(absl::Condition(&ready),
                                          absl::Milliseconds(20));
          }
          if (context->IsCancelled()) return;
          if (fake_.state_.pushed.size() <= sent) break;
          message = fake_.state_.pushed[sent++];
        }
        stream->Write(message);
      }
      context->TryCancel();
    });
    v1::ServeRequest request;
    while (stream->Read(&request)) {
      absl::MutexLock lock(&fake_.mutex_);
      fake_.state_.seen.serve_requests.push_back(request);
    }
    context->TryCancel();
    writer.join();
    return grpc::Status::OK;
  }

 private:
  template <typename Request>
  grpc::Status Record(const std::string& method, const Request& request,
                      std::vector<Request> Seen::*requests) {
    absl::MutexLock lock(&fake_.mutex_);
    auto status = fake_.Enter(method);
    if (status.ok()) status = fake_.CheckLease(request.lease_token());
    if (!status.ok()) return ToGrpcStatus(status);
    (fake_.state_.seen.*requests).push_back(request);
    return grpc::Status::OK;
  }

  FakeServer& fake_;
};

class FakeServer::Dataset : public v1::DatasetService::Service {
 public:
  explicit Dataset(FakeServer& fake) : fake_(fake) {}

  grpc::Status ListExamples(grpc::ServerContext*,
                            const v1::ListExamplesRequest* request,
                            v1::ListExamplesResponse* response) override {
    absl::MutexLock lock(&fake_.mutex_);
    if (auto status = fake_.Enter("ListExamples"); !status.ok()) {
      return ToGrpcStatus(status);
    }
    const auto found = fake_.state_.examples.find(request->dataset());
    if (found == fake_.state_.examples.end()) {
      return ToGrpcStatus(NotFound("dataset", request->dataset()));
    }
    const std::vector<v1::Example>& all = found->second;
    size_t at =
        request->page_token().empty() ? 0 : std::stoul(request->page_token());
    const size_t end = std::min(at + kExamplePage, all.size());
    for (; at < end; ++at) *response->add_examples() = all[at];
    if (end < all.size()) response->set_next_page_token(absl::StrCat(end));
    return grpc::Status::OK;
  }

 private:
  FakeServer& fake_;
};

FakeServer::FakeServer()
    : worker_(std::make_unique<Worker>(*this)),
      dataset_(std::make_unique<Dataset>(*this)) {
  grpc::ServerBuilder builder;
  ApplyServerLimits(builder);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(worker_.get());
  builder.RegisterService(dataset_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() {
  {
    absl::MutexLock lock(&mutex_);
    state_.ending = true;
  }
  server_->Shutdown(std::chrono::system_clock::now());
}

absl::Status FakeServer::Enter(const std::string& method) {
  ++state_.seen.calls[method];
  std::deque<absl::Status>& failures = state_.failures[method];
  if (failures.empty()) return absl::OkStatus();
  const absl::Status status = failures.front();
  failures.pop_front();
  return status;
}

absl::Status FakeServer::CheckLease(const std::string& token) const {
  if (state_.leases.count(token) != 0) return absl::OkStatus();
  return Error(absl::StatusCode::kAborted, "LEASE_LOST", "not your lease");
}

void FakeServer::AddTask(const v1::Task& task) {
  absl::MutexLock lock(&mutex_);
  state_.tasks.push_back(task);
}

void FakeServer::AddLease(const std::string& lease_token) {
  absl::MutexLock lock(&mutex_);
  state_.leases.insert(lease_token);
}

void FakeServer::LoseLease(const std::string& lease_token) {
  absl::MutexLock lock(&mutex_);
  state_.leases.erase(lease_token);
}

void FakeServer::AddExamples(const std::string& dataset,
                             const std::vector<v1::Example>& examples) {
  absl::MutexLock lock(&mutex_);
  state_.examples[dataset] = examples;
}

std::string FakeServer::AddBlob(const std::string& bytes) {
  absl::MutexLock lock(&mutex_);
  const std::string digest = Sha256Hex(bytes);
  state_.blobs[digest] = bytes;
  return digest;
}

void FakeServer::DamageBlob(const std::string& digest,
                            const std::string& bytes) {
  absl::MutexLock lock(&mutex_);
  state_.blobs[digest] = bytes;
}

bool FakeServer::HasBlob(const std::string& digest) const {
  absl::MutexLock lock(&mutex_);
  return state_.blobs.count(digest) != 0;
}

std::string FakeServer::GetBlob(const std::string& digest) const {
  absl::MutexLock lock(&mutex_);
  return state_.blobs.at(digest);
}

void FakeServer::SetWish(v1::HeartbeatResponse::Wish wish) {
  absl::MutexLock lock(&mutex_);
  state_.wish = wish;
}

void FakeServer::SetHeartbeatInterval(absl::Duration interval) {
  absl::MutexLock lock(&mutex_);
  state_.heartbeat_interval = interval;
}

void FakeServer::Fail(const std::string& method, const absl::Status& status,
                      int count) {
  absl::MutexLock lock(&mutex_);
  for (int i = 0; i < count; ++i) state_.failures[method].push_back(status);
}

void FakeServer::PushServe(const v1::ServeResponse& message) {
  absl::MutexLock lock(&mutex_);
  state_.pushed.push_back(message);
}

void FakeServer::CutServeStreams() {
  absl::MutexLock lock(&mutex_);
  ++state_.cuts;
}

FakeServer::Seen FakeServer::seen() const {
  absl::MutexLock lock(&mutex_);
  return state_.seen;
}

bool FakeServer::Await(
    const std::function<bool(const Seen&)>& condition) const {
  absl::MutexLock lock(&mutex_);
  const auto met = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return condition(state_.seen);
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&met), kAwaitLimit);
}

}  // namespace attune::test
