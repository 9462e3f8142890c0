// Many workers that take tasks, report metrics and say that they live, each at
// its pace and over a connection of its own; no task is worked on.
//
//   worker_fleet ADDRESS WORKERS SECONDS
//
// prints {"times": {CALL: [seconds, …]}, "leases": ["TASK/ATTEMPT", …]}; exits
// with 1 and a line when a call fails.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/worker_service.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/grpc/status_conversion.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// A worker keeps a task so many seconds and reports so many rows in each.
constexpr int kTaskSeconds = 5;
constexpr int kRows = 20;

// What all workers have seen.
class Record {
 public:
  void AddTime(const std::string& call, double seconds) {
    absl::MutexLock lock(&mutex_);
    times_[call].push_back(seconds);
  }
  void AddLease(const v1::Task& task) {
    absl::MutexLock lock(&mutex_);
    leases_.push_back(absl::StrCat(task.id(), "/", task.attempt()));
  }
  void AddError(const std::string& call, const grpc::Status& status) {
    absl::MutexLock lock(&mutex_);
    errors_.push_back(
        absl::StrCat(call, ": ", FromGrpcStatus(status).ToString()));
  }
  std::vector<std::string> errors() const {
    absl::MutexLock lock(&mutex_);
    return errors_;
  }
  nlohmann::json ToJson() const {
    absl::MutexLock lock(&mutex_);
    return {{"times", times_}, {"leases", leases_}};
  }

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, std::vector<double>> times_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> leases_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> errors_ ABSL_GUARDED_BY(mutex_);
};

class Worker {
 public:
  Worker(const std::string& address, int number, Clock::time_point end,
         Record& record)
      : stub_(v1::WorkerService::NewStub(ConnectTo(address))),
        id_(absl::StrCat("worker-", number)),
        end_(end),
        random_(static_cast<unsigned>(number)),
        record_(record) {}

  void Run() {
    v1::RegisterRequest request;
    request.set_worker_id(id_);
    request.add_roles(v1::WORKER_ROLE_TRAIN);
    request.mutable_device()->set_kind("cpu");
    v1::RegisterResponse terms;
    if (!Call("register", &v1::WorkerService::Stub::Register, request,
              &terms)) {
      return;
    }
    interval_ =
        Seconds(static_cast<double>(terms.heartbeat_interval().seconds() +
                                    terms.heartbeat_interval().nanos() * 1e-9));
    // Not all at the same moment.
    Pause(0, kTaskSeconds);
    while (Clock::now() < end_ && Work()) {
    }
  }

 private:
  template <typename Method, typename Request, typename Response>
  bool Call(const char* name, Method method, const Request& request,
            Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(60));
    const Clock::time_point began = Clock::now();
    const grpc::Status status =
        (stub_.get()->*method)(&context, request, response);
    record_.AddTime(name, Seconds(Clock::now() - began).count());
    if (!status.ok()) record_.AddError(name, status);
    return status.ok();
  }

  void Pause(double shortest, double longest) {
    std::uniform_real_distribution<double> seconds(shortest, longest);
    std::this_thread::sleep_for(Seconds(seconds(random_)));
  }

  // One task; whether all calls were answered.
  bool Work() {
    v1::LeaseTaskRequest lease;
    lease.set_worker_id(id_);
    lease.mutable_wait()->set_seconds(20);
    v1::LeaseTaskResponse leased;
    if (!Call("lease", &v1::WorkerService::Stub::LeaseTask, lease, &leased)) {
      return false;
    }
    if (!leased.has_task()) return true;
    record_.AddLease(leased.task());
    const std::string& token = leased.task().lease_token();
    std::uniform_real_distribution<double> first(0, interval_.count());
    auto next_beat = Clock::now() + Seconds(first(random_));
    for (int second = 0; second < kTaskSeconds; ++second) {
      Pause(0.9, 1.1);
      if (!Report(token, second * kRows)) return false;
      if (Clock::now() < next_beat) continue;
      next_beat += interval_;
      v1::HeartbeatRequest beat;
      beat.set_worker_id(id_);
      beat.set_lease_token(token);
      v1::HeartbeatResponse answer;
      if (!Call("heartbeat", &v1::WorkerService::Stub::Heartbeat, beat,
                &answer)) {
        return false;
      }
    }
    v1::FailTaskRequest fail;
    fail.set_lease_token(token);
    fail.set_kind(v1::FailTaskRequest::KIND_HAND_BACK);
    fail.set_reason("WORKER_STOPPED");
    v1::FailTaskResponse failed;
    return Call("hand_back", &v1::WorkerService::Stub::FailTask, fail, &failed);
  }

  bool Report(const std::string& token, int64_t step) {
    v1::ReportMetricsRequest request;
    request.set_lease_token(token);
    request.set_total_steps(1000);
    for (int i = 0; i < kRows; ++i) {
      v1::MetricRow* row = request.add_rows();
      row->set_step(++step);
      row->set_loss(0.5);
      row->set_learning_rate(2e-5);
      row->set_pair_accuracy(0.9);
    }
    v1::ReportMetricsResponse response;
    return Call("metrics", &v1::WorkerService::Stub::ReportMetrics, request,
                &response);
  }

  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  const std::string id_;
  const Clock::time_point end_;
  std::mt19937 random_;
  Seconds interval_{0};
  Record& record_;
};

int Main(const std::string& address, int count, double seconds) {
  Record record;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      Seconds(seconds));
  std::vector<std::thread> threads;
  for (int number = 0; number < count; ++number) {
    threads.emplace_back([&record, &address, number, end] {
      Worker(address, number, end, record).Run();
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::cout << record.ToJson() << std::endl;
  for (const std::string& error : record.errors()) std::cerr << error << '\n';
  return record.errors().empty() ? 0 : 1;
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: worker_fleet ADDRESS WORKERS SECONDS\n";
    return 2;
  }
  return attune::Main(argv[1], std::atoi(argv[2]), std::atof(argv[3]));
}
