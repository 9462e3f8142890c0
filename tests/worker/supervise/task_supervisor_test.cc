#include "worker/supervise/task_supervisor.h"

#include <signal.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "common/clock.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/temp_dir.h"
#include "tests/worker/fake_server/fake_server.h"
#include "worker/supervise/task_loop.h"

namespace attune::supervise {
namespace {

using ::testing::HasSubstr;
using Ending = TaskSupervisor::Ending;

v1::RegisterRequest Registration() {
  v1::RegisterRequest request;
  request.set_worker_id("w");
  return request;
}

v1::Task MakeTask(const std::string& token) {
  v1::Task task;
  task.set_lease_token(token);
  task.set_id("job-1");
  task.set_attempt(1);
  task.mutable_validate();
  return task;
}

class TaskSupervisorTest : public ::testing::Test {
 protected:
  TaskSupervisorTest() { server_.AddLease("lease"); }

  Ending Run(const std::string& script,
             absl::Duration limit = absl::Minutes(5)) {
    heartbeats_.Start();
    TaskSupervisor supervisor(connection_, heartbeats_, drain_, clock_,
                              {.command = {"/bin/sh", "-c", script},
                               .hand_back_limit = limit,
                               .cancel_limit = limit});
    return supervisor.Run(MakeTask("lease"));
  }

  // A script that exits with 10 once it has read `byte` from its orders.
  static std::string ExitOnOrder(char byte) {
    return std::string("test $(head -c 1) = ") + byte + " && exit 10";
  }

  test::FakeServer server_;
  transport::StopSignal end_;
  transport::StopSignal drain_;
  FakeClock clock_;
  std::shared_ptr<grpc::Channel> channel_ = ConnectTo(server_.address());
  transport::ServerConnection connection_{channel_, end_};
  Heartbeats heartbeats_{
      connection_,
      clock_,
      {.registration = Registration(), .interval = absl::Milliseconds(20)}};
};

TEST_F(TaskSupervisorTest, CompletedTaskIsNotReportedAgain) {
  EXPECT_EQ(Run("exit 0"), Ending::kDone);
  EXPECT_TRUE(server_.seen().failures.empty());
}

TEST_F(TaskSupervisorTest, ChildThatReportedItselfIsNotReportedAgain) {
  EXPECT_EQ(Run("exit 10"), Ending::kReported);
  EXPECT_TRUE(server_.seen().failures.empty());
}

TEST_F(TaskSupervisorTest, KilledChildIsReportedAsRetryableNamingTheSignal) {
  EXPECT_EQ(Run("kill -KILL $$"), Ending::kCrashed);
  const auto failures = server_.seen().failures;
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].lease_token(), "lease");
  EXPECT_EQ(failures[0].kind(), v1::FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(failures[0].reason(), "WORKER_CRASHED");
  EXPECT_THAT(failures[0].message(), HasSubstr("signal 9 (Killed)"));
}

TEST_F(TaskSupervisorTest, UnknownExitStatusIsReportedAsRetryable) {
  EXPECT_EQ(Run("exit 3"), Ending::kCrashed);
  const auto failures = server_.seen().failures;
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].kind(), v1::FailTaskRequest::KIND_RETRYABLE);
  EXPECT_THAT(failures[0].message(), HasSubstr("exit status 3"));
}

TEST_F(TaskSupervisorTest, CrashIsReportedOnceTheServerIsBack) {
  server_.Fail("FailTask", absl::UnavailableError("restarting"), 2);
  EXPECT_EQ(Run("exit 3"), Ending::kCrashed);
  EXPECT_EQ(server_.seen().failures.size(), 1u);
}

TEST_F(TaskSupervisorTest, ProgressReachesTheHeartbeat) {
  const std::string zeros = "\\0\\0\\0\\0\\0\\0\\0";
  std::thread driver([this] {
    server_.Await([](const auto& seen) {
      return !seen.heartbeats.empty() && seen.heartbeats.back().step() == 5;
    });
    server_.SetWish(v1::HeartbeatResponse::WISH_CANCEL);
  });
  EXPECT_EQ(Run("printf '\\005" + zeros + "\\012" + zeros + "' >&3; " +
                ExitOnOrder('C')),
            Ending::kReported);
  driver.join();
  EXPECT_EQ(server_.seen().heartbeats.back().total_steps(), 10);
}

TEST_F(TaskSupervisorTest, CancelWishIsPassedOn) {
  server_.SetWish(v1::HeartbeatResponse::WISH_CANCEL);
  EXPECT_EQ(Run(ExitOnOrder('C')), Ending::kReported);
}

TEST_F(TaskSupervisorTest, PauseWishAsksForAHandBack) {
  server_.SetWish(v1::HeartbeatResponse::WISH_PAUSE);
  EXPECT_EQ(Run(ExitOnOrder('H')), Ending::kReported);
}

TEST_F(TaskSupervisorTest, DrainAsksForAHandBack) {
  drain_.Stop();
  EXPECT_EQ(Run(ExitOnOrder('H')), Ending::kReported);
}

TEST_F(TaskSupervisorTest, ChildThatDoesNotStopInTimeIsKilledAndHandedBack) {
  drain_.Stop();
  EXPECT_EQ(Run("exec sleep 1000", absl::ZeroDuration()), Ending::kOverdue);
  const auto failures = server_.seen().failures;
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].kind(), v1::FailTaskRequest::KIND_HAND_BACK);
}

TEST_F(TaskSupervisorTest, ChildThatDiesWhileStoppingIsAHandBack) {
  drain_.Stop();
  EXPECT_EQ(Run("head -c 1; exit 3"), Ending::kCrashed);
  const auto failures = server_.seen().failures;
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].kind(), v1::FailTaskRequest::KIND_HAND_BACK);
}

TEST_F(TaskSupervisorTest, LostLeaseKillsTheChildWithoutAReport) {
  server_.LoseLease("lease");
  EXPECT_EQ(Run("exec sleep 1000"), Ending::kLeaseLost);
  EXPECT_EQ(server_.seen().calls["FailTask"], 0);
}

TEST_F(TaskSupervisorTest, SilentServerMakesTheWorkerFenceItself) {
  server_.Fail("Heartbeat", absl::UnavailableError("cut"), 100'000);
  std::thread time([this] {
    server_.Await([](const auto& seen) {
      const auto beats = seen.calls.find("Heartbeat");
      return beats != seen.calls.end() && beats->second >= 3;
    });
    clock_.Advance(absl::Seconds(20));
  });
  EXPECT_EQ(Run("exec sleep 1000"), Ending::kFenced);
  time.join();
  EXPECT_EQ(server_.seen().calls["FailTask"], 0);
}

TEST_F(TaskSupervisorTest, AChildThatGetsNothingDoneIsKilledAndTriedAgain) {
  // Time passes, and heartbeats go on: the lease is held.
  std::atomic<bool> ended = false;
  std::thread time([&] {
    while (!ended) {
      const size_t beats = server_.seen().heartbeats.size();
      clock_.Advance(absl::Seconds(5));
      server_.Await([&](const auto& seen) {
        return ended || seen.heartbeats.size() > beats;
      });
    }
  });
  EXPECT_EQ(Run("exec sleep 1000"), Ending::kStalled);
  ended = true;
  time.join();
  const auto failures = server_.seen().failures;
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].kind(), v1::FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(failures[0].reason(), "STALLED");
  EXPECT_GE(clock_.MonotonicNow(), absl::Minutes(5));
}

TEST_F(TaskSupervisorTest, TaskLoopRunsTasksUntilItIsStopped) {
  server_.AddTask(MakeTask("first"));
  server_.AddTask(MakeTask("second"));
  server_.Fail("LeaseTask", absl::UnavailableError("restarting"), 1);
  server_.Fail("LeaseTask", absl::NotFoundError("who are you"), 1);
  transport::ServerConnection polling(channel_, drain_);
  TaskSupervisor supervisor(connection_, heartbeats_, drain_, clock_,
                            {.command = {"/bin/sh", "-c", "exit 3"}});
  std::thread stopper([this] {
    server_.Await([](const auto& seen) {
      return seen.failures.size() == 2 && seen.calls.at("LeaseTask") >= 5;
    });
    drain_.Stop();
  });
  RunTaskLoop(polling, "w", supervisor);
  stopper.join();
  const auto failures = server_.seen().failures;
  ASSERT_EQ(failures.size(), 2u);
  EXPECT_EQ(failures[0].lease_token(), "first");
  EXPECT_EQ(failures[1].lease_token(), "second");
}

}  // namespace
}  // namespace attune::supervise
