#include "worker/transport/server_connection.h"

#include <thread>

#include "common/error.h"
#include "common/grpc/channel.h"
#include "gtest/gtest.h"
#include "tests/worker/fake_server/fake_server.h"
#include "worker/transport/retry.h"

namespace attune::transport {
namespace {

class ServerConnectionTest : public ::testing::Test {
 protected:
  test::FakeServer server_;
  StopSignal stop_;
  ServerConnection connection_{ConnectTo(server_.address()), stop_};
};

TEST_F(ServerConnectionTest, LeaseTaskReturnsATask) {
  v1::Task task;
  task.set_lease_token("lease");
  task.mutable_validate();
  server_.AddTask(task);
  const auto leased = connection_.LeaseTask("w", absl::Seconds(30));
  ASSERT_TRUE(leased.ok()) << leased.status();
  ASSERT_TRUE(leased->has_value());
  EXPECT_EQ((*leased)->lease_token(), "lease");
}

TEST_F(ServerConnectionTest, LeaseTaskWithoutATaskReturnsNothing) {
  const auto leased = connection_.LeaseTask("w", absl::ZeroDuration());
  ASSERT_TRUE(leased.ok()) << leased.status();
  EXPECT_FALSE(leased->has_value());
}

TEST_F(ServerConnectionTest, StopCancelsALongPoll) {
  std::thread stopper([&] {
    server_.Await([](const auto& seen) {
      return seen.calls.find("LeaseTask") != seen.calls.end();
    });
    stop_.Stop();
  });
  EXPECT_EQ(connection_.LeaseTask("w", absl::Seconds(60)).status().code(),
            absl::StatusCode::kCancelled);
  stopper.join();
}

TEST_F(ServerConnectionTest, ACallThatAStoppingServerCutOffIsUnavailable) {
  server_.Fail("LeaseTask", absl::CancelledError("shutting down"), 1);
  EXPECT_EQ(connection_.LeaseTask("w", absl::ZeroDuration()).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(ServerConnectionTest, ErrorsKeepTheirReason) {
  const absl::Status status = connection_.FailTask(
      "old", v1::FailTaskRequest::KIND_RETRYABLE, "X", "message");
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(IsLeaseLost(status));
}

TEST_F(ServerConnectionTest, ListAllExamplesReadsEveryPageInOrder) {
  std::vector<v1::Example> examples(5);
  for (size_t i = 0; i < examples.size(); ++i) {
    examples[i].set_id(static_cast<int64_t>(i) + 1);
    examples[i].mutable_clean();
  }
  server_.AddExamples("set", examples);
  server_.Fail("ListExamples", absl::OkStatus(), 1);
  server_.Fail("ListExamples", absl::UnavailableError("cut"), 1);
  const auto listed = ListAllExamples(connection_, "set");
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ((*listed)[i].id(), i + 1);
}

TEST_F(ServerConnectionTest, ListAllExamplesOfAnUnknownDatasetIsNotFound) {
  EXPECT_EQ(ListAllExamples(connection_, "none").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(RetryTest, PermanentErrorEndsAtOnce) {
  StopSignal stop;
  int calls = 0;
  const absl::Status status = Retry(stop, "test", [&] {
    ++calls;
    return absl::InvalidArgumentError("no");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(calls, 1);
}

TEST(RetryTest, TransientErrorIsReturnedAfterTheLimit) {
  StopSignal stop;
  const absl::Status status = Retry(
      stop, "test", [] { return absl::UnavailableError("away"); },
      absl::ZeroDuration());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST(RetryTest, StopEndsRetrying) {
  StopSignal stop;
  stop.Stop();
  EXPECT_EQ(
      Retry(stop, "test", [] { return absl::UnavailableError("away"); }).code(),
      absl::StatusCode::kCancelled);
}

TEST(BackOffTest, DelaysGrowToTheLimitAndStartAgainAfterReset) {
  BackOff back_off;
  EXPECT_LE(back_off.Next(), absl::Milliseconds(200));
  for (int i = 0; i < 20; ++i) back_off.Next();
  EXPECT_GE(back_off.Next(), absl::Seconds(3.7));
  EXPECT_LE(back_off.Next(), absl::Seconds(5));
  back_off.Reset();
  EXPECT_LE(back_off.Next(), absl::Milliseconds(200));
}

}  // namespace
}  // namespace attune::transport
