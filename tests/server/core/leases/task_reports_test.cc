#include "server/core/leases/task_reports.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/leases/task_reports_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using storage::JobState;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kAborted = absl::StatusCode::kAborted;

TEST_F(TaskReportsTest, MetricsAndProgressAreStored) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(reports_->AddMetrics(task.lease_token, Rows(1, 10), 40), IsOk());
  EXPECT_EQ(JobById(job.id).step, 10);
  EXPECT_EQ(JobById(job.id).total_steps, 40);
  const auto rows = jobs_->ListMetrics(job.id, 0, 100);
  ASSERT_THAT(rows, IsOk());
  ASSERT_THAT(*rows, SizeIs(10));
  EXPECT_EQ((*rows)[3].loss, 0.25);
  EXPECT_EQ((*rows)[3].attempt, 1);
  EXPECT_EQ(metrics_.steps, 10);
  EXPECT_EQ(metrics_.examples, 10 * 512);
}

TEST_F(TaskReportsTest, ARepeatedReportAddsNoRow) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(reports_->AddMetrics(task.lease_token, Rows(1, 10), 40), IsOk());
  ASSERT_THAT(reports_->AddMetrics(task.lease_token, Rows(1, 10), 40), IsOk());
  EXPECT_THAT(*jobs_->ListMetrics(job.id, 0, 100), SizeIs(10));
  EXPECT_EQ(metrics_.steps, 10);
}

TEST_F(TaskReportsTest, BadRowsChangeNothing) {
  CreateDpoJob();
  const LeasedTask task = Lease();
  const std::string before = Everything();
  EXPECT_THAT(reports_->AddMetrics(task.lease_token, Rows(0, 3), 0),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(
      reports_->AddMetrics(task.lease_token, {Rows(2, 2)[0], Rows(2, 2)[0]}, 0),
      HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(reports_->AddMetrics(task.lease_token, Rows(1, 1'001), 0),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_THAT(reports_->AddMetrics(task.lease_token, {}, -1),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(Everything(), before);
}

TEST_F(TaskReportsTest, NoTokenAndForgedTokensAreLost) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  const std::string before = Everything();
  for (const std::string& token :
       {std::string(), std::string("job-none.1.00"), job.id,
        job.id + ".1.0123456789abcdef0123456789abcdef", task.lease_token + "0",
        std::string(100'000, 'a')}) {
    EXPECT_THAT(reports_->AddMetrics(token, Rows(1, 2), 0),
                HasError(kAborted, "LEASE_LOST"));
    EXPECT_THAT(leases_->Heartbeat(token, 1, 1),
                HasError(kAborted, "LEASE_LOST"));
  }
  EXPECT_EQ(Everything(), before);
}

TEST_F(TaskReportsTest, FailuresWaitLongerAndLongerThenTheJobFails) {
  const storage::Job job = CreateDpoJob();
  const auto fail = [&] {
    ASSERT_THAT(reports_->Fail(Lease().lease_token, FailureKind::kRetryable,
                               "CHILD_CRASHED", "signal 11"),
                IsOk());
  };
  fail();  // tried again at once
  EXPECT_EQ(JobById(job.id).state, JobState::kQueued);
  for (const int failures : {2, 3, 4}) {
    fail();
    EXPECT_EQ(JobById(job.id).state, JobState::kBackoff);
    const absl::Duration delay = options_.DelayAfter(failures, job.id);
    EXPECT_EQ(JobById(job.id).backoff_until, clock_.WallNow() + delay);
    EXPECT_THAT(jobs_->Get(job.id)->status_message,
                HasSubstr("(last attempt: CHILD_CRASHED: signal 11)"));
    clock_.Advance(delay - absl::Milliseconds(1));
    ASSERT_THAT(leases_->Tick(), IsOk());
    EXPECT_EQ(JobById(job.id).state, JobState::kBackoff);
    clock_.Advance(absl::Milliseconds(1));
    ASSERT_THAT(leases_->Tick(), IsOk());
    EXPECT_EQ(JobById(job.id).state, JobState::kQueued);
    AddWorker();
  }
  fail();
  const storage::Job stored = JobById(job.id);
  EXPECT_EQ(stored.state, JobState::kFailed);
  EXPECT_EQ(stored.failure_count, 5);
  EXPECT_EQ(stored.status_message, "CHILD_CRASHED: signal 11");
}

TEST_F(TaskReportsTest, APermanentFailureEndsTheJob) {
  const storage::Job job = CreateDpoJob();
  ASSERT_THAT(reports_->Fail(Lease().lease_token, FailureKind::kPermanent,
                             "NON_FINITE_LOSS", "at step 3"),
              IsOk());
  EXPECT_EQ(JobById(job.id).state, JobState::kFailed);
  EXPECT_EQ(JobById(job.id).status_message, "NON_FINITE_LOSS: at step 3");
}

TEST_F(TaskReportsTest, AHandBackIsNoFailure) {
  const storage::Job job = CreateDpoJob();
  for (int i = 0; i < 10; ++i) {
    ASSERT_THAT(reports_->Fail(Lease().lease_token, FailureKind::kHandBack, "",
                               "the worker stops"),
                IsOk());
    EXPECT_EQ(JobById(job.id).state, JobState::kQueued);
  }
  EXPECT_EQ(JobById(job.id).failure_count, 0);
  EXPECT_EQ(JobById(job.id).attempt, 10);
}

TEST_F(TaskReportsTest, AJobThatIsCancelledDuringItsDelayStaysCancelled) {
  const storage::Job job = CreateDpoJob();
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(reports_->Fail(Lease().lease_token, FailureKind::kRetryable,
                               "CRASHED", ""),
                IsOk());
  }
  ASSERT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(leases_->Tick(), IsOk());
  EXPECT_EQ(JobById(job.id).state, JobState::kCancelled);
}

}  // namespace
}  // namespace attune::core
