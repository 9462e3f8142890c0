// What is shown of jobs.

#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/jobs/job_manager_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using storage::JobState;
using ::testing::SizeIs;

constexpr auto kNotFound = absl::StatusCode::kNotFound;

TEST_F(JobManagerTest, WaitingJobsSayWhy) {
  AddBase();
  MakePreferences();
  const storage::Job first = CreateDpoJob();
  const storage::Job second = CreateDpoJob();
  EXPECT_EQ(jobs_->Get(first.id)->status_message, "position 1");
  EXPECT_EQ(jobs_->Get(second.id)->status_message, "position 2");
  // The worker that sealed the dataset is not heard of any more.
  clock_.Advance(options_.duration + absl::Seconds(1));
  EXPECT_EQ(jobs_->Get(second.id)->status_message, "no worker");
  AddWorker();
  Lease();
  EXPECT_EQ(jobs_->Get(first.id)->status_message, "");
  EXPECT_EQ(jobs_->Get(second.id)->status_message, "position 1");
}

TEST_F(JobManagerTest, ListsNewestFirstByState) {
  AddBase();
  MakePreferences();
  const storage::Job a = CreateDpoJob();
  const storage::Job b = CreateDpoJob();
  const storage::Job c = CreateDpoJob();
  ASSERT_THAT(jobs_->Cancel(b.id, {}), IsOk());
  auto jobs = jobs_->List(0, 10, {});
  ASSERT_THAT(jobs, IsOk());
  ASSERT_THAT(*jobs, SizeIs(3));
  EXPECT_EQ((*jobs)[0].id, c.id);
  EXPECT_EQ((*jobs)[2].id, a.id);
  const JobState cancelled = JobState::kCancelled;
  jobs = jobs_->List(0, 10, {&cancelled, 1});
  ASSERT_THAT(*jobs, SizeIs(1));
  EXPECT_EQ((*jobs)[0].id, b.id);
  EXPECT_THAT(*jobs_->List((*jobs)[0].sequence, 10, {}), SizeIs(1));
  EXPECT_EQ(jobs_->CountByState()->at(JobState::kQueued), 2);
}

TEST_F(JobManagerTest, ValidationsAreNotShownAsJobs) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  EXPECT_THAT(*jobs_->List(0, 10, {}), SizeIs(0));
  AddWorker();
  EXPECT_THAT(jobs_->Get(Lease().job.id), HasError(kNotFound, "NOT_FOUND"));
}

TEST_F(JobManagerTest, AnUpdateHoldsWhatWasAddedSinceItsPosition) {
  AddBase();
  MakePreferences();
  AddWorker();
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  std::vector<storage::MetricRow> rows(1'500);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].step = static_cast<int64_t>(i) + 1;
  }
  ASSERT_THAT(reports_->AddMetrics(task.lease_token,
                                   {rows.begin(), rows.begin() + 1'000}, 2'000),
              IsOk());
  ASSERT_THAT(reports_->AddMetrics(task.lease_token,
                                   {rows.begin() + 1'000, rows.end()}, 2'000),
              IsOk());
  auto update = jobs_->Update(job.id, {});
  ASSERT_THAT(update, IsOk());
  EXPECT_THAT(update->metrics, SizeIs(1'000));
  EXPECT_THAT(update->events, SizeIs(2));
  EXPECT_TRUE(update->more);
  EXPECT_EQ(update->job.step, 1'500);
  EXPECT_EQ(update->job.total_steps, 2'000);
  update = jobs_->Update(job.id, update->position);
  EXPECT_THAT(update->metrics, SizeIs(500));
  EXPECT_EQ(update->metrics.front().step, 1'001);
  EXPECT_THAT(update->events, SizeIs(0));
  EXPECT_FALSE(update->more);
}

}  // namespace
}  // namespace attune::core
