// Checkpoints that tasks commit, are given and drop.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/leases/task_reports_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kAborted = absl::StatusCode::kAborted;

TEST_F(TaskReportsTest, ANewAttemptBeginsAtTheLastCheckpoint) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask first = Lease();
  ASSERT_THAT(reports_->AddMetrics(first.lease_token, Rows(1, 30), 40), IsOk());
  ASSERT_THAT(reports_->CommitCheckpoint(first.lease_token, 20, StoreTensors(5),
                                         "{\"epoch\":1}"),
              IsOk());
  ASSERT_THAT(reports_->Fail(first.lease_token, FailureKind::kHandBack, "",
                             "the worker stops"),
              IsOk());
  const LeasedTask second = Lease();
  ASSERT_TRUE(second.checkpoint.has_value());
  EXPECT_EQ(second.checkpoint->step, 20);
  EXPECT_EQ(second.checkpoint->state, "{\"epoch\":1}");
  EXPECT_EQ(second.job.step, 20);
  // What the attempt will do again is not there twice.
  EXPECT_THAT(*jobs_->ListMetrics(job.id, 0, 100), SizeIs(20));
  ASSERT_THAT(reports_->AddMetrics(second.lease_token, Rows(21, 40), 40),
              IsOk());
  const auto rows = jobs_->ListMetrics(job.id, 0, 100);
  ASSERT_THAT(*rows, SizeIs(40));
  EXPECT_EQ((*rows)[19].attempt, 1);
  EXPECT_EQ((*rows)[20].attempt, 2);
}

TEST_F(TaskReportsTest, TheLastTwoCheckpointsAreKept) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  for (const int64_t step : {10, 20, 30}) {
    ASSERT_THAT(reports_->CommitCheckpoint(
                    task.lease_token, step,
                    StoreTensors(static_cast<float>(step)), "{}"),
                IsOk());
  }
  const auto checkpoints = jobs_->ListCheckpoints(job.id);
  ASSERT_THAT(*checkpoints, SizeIs(2));
  EXPECT_EQ((*checkpoints)[0].step, 30);
  EXPECT_EQ((*checkpoints)[1].step, 20);
  EXPECT_EQ(Events(job.id).back(), "Checkpoint after step 30");
}

TEST_F(TaskReportsTest, TheCheckpointWithTheSmallestLossIsKeptToo) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  // The loss is smallest around step 40, then grows.
  std::vector<storage::MetricRow> rows = Rows(1, 100);
  for (storage::MetricRow& row : rows) {
    row.loss = std::abs(static_cast<double>(row.step) - 35);
  }
  ASSERT_THAT(reports_->AddMetrics(task.lease_token, rows, 100), IsOk());
  for (const int64_t step : {20, 40, 60, 80, 100}) {
    ASSERT_THAT(reports_->CommitCheckpoint(
                    task.lease_token, step,
                    StoreTensors(static_cast<float>(step)), "{}"),
                IsOk());
  }
  const auto checkpoints = jobs_->ListCheckpoints(job.id);
  ASSERT_THAT(checkpoints, IsOk());
  std::vector<int64_t> steps;
  for (const storage::Checkpoint& checkpoint : *checkpoints) {
    steps.push_back(checkpoint.step);
  }
  EXPECT_THAT(steps, ElementsAre(100, 80, 40));
}

TEST_F(TaskReportsTest, ATaskComesWithTheEarlierCheckpoints) {
  CreateDpoJob();
  const LeasedTask first = Lease();
  for (const int64_t step : {10, 20}) {
    ASSERT_THAT(reports_->CommitCheckpoint(
                    first.lease_token, step,
                    StoreTensors(static_cast<float>(step)), "{}"),
                IsOk());
  }
  ASSERT_THAT(
      reports_->Fail(first.lease_token, FailureKind::kHandBack, "", "stops"),
      IsOk());
  const LeasedTask second = Lease();
  ASSERT_TRUE(second.checkpoint.has_value());
  EXPECT_EQ(second.checkpoint->step, 20);
  ASSERT_THAT(second.earlier_checkpoints, SizeIs(1));
  EXPECT_EQ(second.earlier_checkpoints[0].step, 10);
}

TEST_F(TaskReportsTest, ACheckpointThatCannotBeUsedIsDroppedAndCounted) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask first = Lease();
  CommitCheckpoints(first, {10, 20});
  HandBack(first);
  const LeasedTask task = Lease();
  ASSERT_THAT(reports_->DropCheckpoints(task.lease_token, {20, 33}), IsOk());
  EXPECT_THAT(*jobs_->ListCheckpoints(job.id), SizeIs(1));
  EXPECT_EQ(metrics_.unusable, 1);
  EXPECT_EQ(Events(job.id).back(),
            "The checkpoint after step 20 cannot be used and is dropped");
  const std::string before = Everything();
  EXPECT_THAT(reports_->DropCheckpoints(absl::StrCat(job.id, ".1.x"), {10}),
              HasError(kAborted, "LEASE_LOST"));
  EXPECT_EQ(Everything(), before);
}

TEST_F(TaskReportsTest, ARepeatedReportDropsNoCheckpointThatWasMadeSince) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask first = Lease();
  CommitCheckpoints(first, {10, 20});
  HandBack(first);
  const LeasedTask task = Lease();
  ASSERT_THAT(reports_->DropCheckpoints(task.lease_token, {20}), IsOk());
  CommitCheckpoints(task, {20});
  const std::string before = Everything();
  ASSERT_THAT(reports_->DropCheckpoints(task.lease_token, {20}), IsOk());
  EXPECT_EQ(Everything(), before);
  EXPECT_EQ(metrics_.unusable, 1);
}

TEST_F(TaskReportsTest, ARetrysFirstAttemptMayDropWhatItWasGiven) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask first = Lease();
  CommitCheckpoints(first, {10, 20});
  ASSERT_THAT(reports_->Fail(first.lease_token, FailureKind::kPermanent,
                             "NON_FINITE_LOSS", ""),
              IsOk());
  const auto retry = jobs_->Retry(job.id, {});
  ASSERT_THAT(retry, IsOk());
  const LeasedTask task = Lease();
  ASSERT_EQ(task.job.attempt, 1);
  ASSERT_THAT(reports_->DropCheckpoints(task.lease_token, {20}), IsOk());
  const auto left = jobs_->ListCheckpoints(retry->id);
  ASSERT_THAT(*left, SizeIs(1));
  EXPECT_EQ((*left)[0].step, 10);
}

TEST_F(TaskReportsTest, ACheckpointNeedsItsBlobs) {
  CreateDpoJob();
  const LeasedTask task = Lease();
  storage::TensorManifest manifest = StoreTensors(5);
  manifest[0].blob_digest = std::string(64, 'a');
  const std::string before = Everything();
  EXPECT_THAT(reports_->CommitCheckpoint(task.lease_token, 1, manifest, "{}"),
              HasError(kPrecondition, "BLOB_MISSING"));
  manifest = StoreTensors(5);
  manifest[0].shape = {2};
  EXPECT_THAT(reports_->CommitCheckpoint(task.lease_token, 1, manifest, "{}"),
              HasError(kInvalid, "INVALID_MANIFEST"));
  EXPECT_EQ(Everything(), before);
}

}  // namespace
}  // namespace attune::core
