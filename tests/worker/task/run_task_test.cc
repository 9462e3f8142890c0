// How tasks end: done with a validation, by an order, without a lease, failed.

#include "worker/task/run_task.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/content/small_clip.h"
#include "tests/worker/task/run_task_fixture.h"

namespace attune::task {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using v1::FailTaskRequest;

TEST_F(RunTaskTest, HandBackStoresACheckpointFirst) {
  v1::Task task = TrainTask(1'000'000);
  task.mutable_train()->mutable_spec()->set_checkpoint_every(10'000'000);
  auto wait = std::make_shared<absl::Notification>();
  auto given = std::make_shared<std::atomic<bool>>(false);
  options_.report_progress = [wait](const supervise::Progress& progress) {
    if (progress.step == 3) wait->Notify();
  };
  options_.read_order = [wait, given]() -> absl::StatusOr<supervise::Order> {
    if (given->exchange(true)) return absl::CancelledError("no more");
    wait->WaitForNotification();
    return supervise::Order::kHandBack;
  };
  EXPECT_EQ(Run(task), supervise::kChildReported);
  const auto seen = server_.seen();
  ASSERT_THAT(seen.checkpoints, SizeIs(1));
  EXPECT_GE(seen.checkpoints[0].checkpoint().step(), 3);
  ASSERT_THAT(seen.failures, SizeIs(1));
  EXPECT_EQ(seen.failures[0].kind(), FailTaskRequest::KIND_HAND_BACK);
  int64_t rows = 0;
  for (const auto& report : seen.reports) rows += report.rows_size();
  EXPECT_EQ(rows, seen.checkpoints[0].checkpoint().step());
}

TEST_F(RunTaskTest, CancellationStoresNothing) {
  v1::Task task = TrainTask(1'000'000);
  task.mutable_train()->mutable_spec()->set_checkpoint_every(10'000'000);
  auto given = std::make_shared<std::atomic<bool>>(false);
  options_.read_order = [given]() -> absl::StatusOr<supervise::Order> {
    if (given->exchange(true)) return absl::CancelledError("no more");
    return supervise::Order::kCancel;
  };
  EXPECT_EQ(Run(task), supervise::kChildReported);
  const auto seen = server_.seen();
  EXPECT_THAT(seen.checkpoints, IsEmpty());
  ASSERT_THAT(seen.failures, SizeIs(1));
  EXPECT_EQ(seen.failures[0].kind(), FailTaskRequest::KIND_HAND_BACK);
}

TEST_F(RunTaskTest, LostLeaseEndsWithoutAReport) {
  const v1::Task task = TrainTask(1'000'000);
  server_.LoseLease("lease");
  EXPECT_EQ(Run(task), supervise::kChildLeaseLost);
  EXPECT_THAT(server_.seen().failures, IsEmpty());
}

TEST_F(RunTaskTest, MissingGpuIsPermanent) {
  options_.device = "cuda:99";
  EXPECT_EQ(Run(TrainTask(1)), supervise::kChildReported);
  const auto failures = server_.seen().failures;
  ASSERT_THAT(failures, SizeIs(1));
  EXPECT_EQ(failures[0].reason(), "NO_CUDA");
}

TEST_F(RunTaskTest, ValidationNamesTheExamplesThatDoNotDecode) {
  v1::Task task;
  *task.mutable_validate()->mutable_dataset() = MakeDataset("set");
  std::vector<v1::Example> examples(3);
  const std::string cut = test::Picture(1).substr(0, 60);
  examples[0].set_id(11);
  examples[0].set_image_digest(server_.AddBlob(test::Picture(1)));
  examples[1].set_id(12);
  examples[1].set_image_digest(server_.AddBlob(cut));
  examples[2].set_id(13);
  examples[2].set_image_digest(server_.AddBlob(test::Picture(2)));
  examples[2].mutable_pair()->set_clean_image_digest(server_.AddBlob(cut));
  server_.AddExamples("set", examples);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::ValidateResult result = server_.seen().completions.at(0).validate();
  EXPECT_EQ(result.invalid_example_count(), 2);
  ASSERT_EQ(result.invalid_examples_size(), 2);
  EXPECT_EQ(result.invalid_examples(0).example(), 12);
  EXPECT_EQ(result.invalid_examples(1).example(), 13);
  EXPECT_THAT(result.invalid_examples(1).reason(), HasSubstr("clean_image: "));
}

TEST(FailureKindTest, OutOfMemoryIsPermanentOnADeviceThatIsOtherwiseFree) {
  const absl::Status status =
      Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", "x");
  EXPECT_EQ(FailureKind(status, false, /*device_free=*/true),
            FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(FailureKind(status, false, /*device_free=*/false),
            FailTaskRequest::KIND_RETRYABLE);
}

TEST(FailureKindTest, AFullDiskOfTheServerIsTriedAgain) {
  EXPECT_EQ(
      FailureKind(Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", "x"),
                  false, true),
      FailTaskRequest::KIND_RETRYABLE);
}

TEST(FailureKindTest, ErrorsSayWhetherAnotherAttemptCanHelp) {
  const auto kind = [](absl::StatusCode code) {
    return FailureKind(Error(code, "X", "x"), false, true);
  };
  EXPECT_EQ(kind(absl::StatusCode::kInvalidArgument),
            FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(kind(absl::StatusCode::kResourceExhausted),
            FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(kind(absl::StatusCode::kDataLoss), FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(kind(absl::StatusCode::kInternal), FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(kind(absl::StatusCode::kUnavailable),
            FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(kind(absl::StatusCode::kCancelled),
            FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(FailureKind(absl::CancelledError("stop"), true, true),
            FailTaskRequest::KIND_HAND_BACK);
  EXPECT_EQ(FailureKind(Error(absl::StatusCode::kAborted, "LEASE_LOST", "gone"),
                        true, true),
            FailTaskRequest::KIND_UNSPECIFIED);
}

}  // namespace
}  // namespace attune::task
