// Cancelling jobs.

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/jobs/job_manager_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using storage::JobState;

constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

TEST_F(JobManagerTest, AQueuedJobIsCancelledAtOnce) {
  AddBase();
  MakePreferences();
  const storage::Job job = CreateDpoJob();
  const auto cancelled = jobs_->Cancel(job.id, {});
  ASSERT_THAT(cancelled, IsOk());
  EXPECT_EQ(cancelled->state, JobState::kCancelled);
  EXPECT_EQ(cancelled->end_time, clock_.WallNow());
  EXPECT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  AddWorker();
  EXPECT_EQ(*AskForTask(), std::nullopt);
}

TEST_F(JobManagerTest, ARunningJobIsCancelledThroughItsWorker) {
  AddBase();
  MakePreferences();
  AddWorker();
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  EXPECT_EQ(*leases_->Heartbeat(task.lease_token, 1, 10), Wish::kContinue);
  EXPECT_EQ(jobs_->Cancel(job.id, {})->state, JobState::kCancelling);
  EXPECT_EQ(*leases_->Heartbeat(task.lease_token, 1, 10), Wish::kCancel);
  EXPECT_EQ(jobs_->Cancel(job.id, {})->state, JobState::kCancelling);
  ASSERT_THAT(
      reports_->Fail(task.lease_token, FailureKind::kHandBack, "", "stopped"),
      IsOk());
  EXPECT_EQ(jobs_->Get(job.id)->state, JobState::kCancelled);
}

TEST_F(JobManagerTest, AFinishedJobCannotBeCancelled) {
  AddBase();
  MakePreferences();
  AddWorker();
  const storage::Job job = CreateDpoJob();
  ASSERT_THAT(reports_->Fail(Lease().lease_token, FailureKind::kPermanent,
                             "OUT_OF_MEMORY", "too large"),
              IsOk());
  const std::string before = Everything();
  EXPECT_THAT(jobs_->Cancel(job.id, {}), HasError(kPrecondition, "JOB_ENDED"));
  EXPECT_EQ(Everything(), before);
}

}  // namespace
}  // namespace attune::core
