// Pausing, resuming and retrying jobs.

#include <string>
#include <vector>

#include "common/error.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/jobs/job_inputs.h"
#include "server/core/jobs/job_manager.h"
#include "tests/server/core/jobs_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using storage::JobState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kNotFound = absl::StatusCode::kNotFound;

class JobControlTest : public JobsFixture {
 protected:
  void SetUp() override {
    AddBase();
    MakePreferences();
    AddWorker();
  }

  using Call = absl::StatusOr<storage::Job> (JobManager::*)(absl::string_view,
                                                            const RequestKey&);

  // The error of a call that must leave no trace.
  absl::Status Refused(Call call, const std::string& id) {
    const std::string before = Everything();
    const absl::Status status = ((*jobs_).*call)(id, {}).status();
    EXPECT_EQ(Everything(), before);
    return status;
  }

  void Report(const LeasedTask& task, int64_t first, int64_t last) {
    std::vector<storage::MetricRow> rows;
    for (int64_t step = first; step <= last; ++step) {
      storage::MetricRow row;
      row.step = step;
      row.loss = 1.0 / static_cast<double>(step);
      rows.push_back(row);
    }
    ASSERT_THAT(reports_->AddMetrics(task.lease_token, rows, 10), IsOk());
  }

  void Checkpoint(const LeasedTask& task, int64_t step) {
    ASSERT_THAT(reports_->CommitCheckpoint(
                    task.lease_token, step,
                    StoreTensors(static_cast<float>(step)), "{}"),
                IsOk());
  }

  void Fail(const LeasedTask& task, FailureKind kind) {
    ASSERT_THAT(reports_->Fail(task.lease_token, kind, "WHY", "said so"),
                IsOk());
  }

  std::vector<int64_t> Steps(absl::string_view job) {
    std::vector<int64_t> steps;
    const auto rows = jobs_->ListMetrics(job, 0, 100);
    EXPECT_THAT(rows, IsOk());
    if (!rows.ok()) return steps;
    for (const storage::MetricRow& row : *rows) steps.push_back(row.step);
    return steps;
  }
};

TEST_F(JobControlTest, AQueuedJobIsPausedAtOnceAndLeftAlone) {
  const storage::Job job = CreateDpoJob();
  const auto paused = jobs_->Pause(job.id, {});
  ASSERT_THAT(paused, IsOk());
  EXPECT_EQ(paused->state, JobState::kPaused);
  EXPECT_EQ(*AskForTask(), std::nullopt);
  EXPECT_THAT(jobs_->Pause(job.id, {}), IsOk());
  EXPECT_THAT(Events(job.id), ElementsAre("Created and queued", "Paused"));
}

TEST_F(JobControlTest, AResumedJobIsQueuedInItsOldPlace) {
  const storage::Job first = CreateDpoJob();
  CreateDpoJob();
  ASSERT_THAT(jobs_->Pause(first.id, {}), IsOk());
  const auto resumed = jobs_->Resume(first.id, {});
  ASSERT_THAT(resumed, IsOk());
  EXPECT_EQ(resumed->state, JobState::kQueued);
  EXPECT_EQ(resumed->status_message, "position 1");
  EXPECT_EQ(Lease().job.id, first.id);
  EXPECT_THAT(jobs_->Resume(first.id, {}), IsOk());
  EXPECT_EQ(JobById(first.id).state, JobState::kRunning);
}

TEST_F(JobControlTest, ResumingWakesAWorkerThatWaits) {
  const storage::Job job = CreateDpoJob();
  ASSERT_THAT(jobs_->Pause(job.id, {}), IsOk());
  std::optional<LeasedTask> task;
  leases_->WaitForTask("w1", absl::Seconds(30), [&](auto answer) {
    ASSERT_THAT(answer, IsOk());
    task = *std::move(answer);
  });
  RunExecutor();
  ASSERT_THAT(jobs_->Resume(job.id, {}), IsOk());
  RunExecutor();
  ASSERT_TRUE(task.has_value());
  EXPECT_EQ(task->job.id, job.id);
}

TEST_F(JobControlTest, ARunningJobIsPausedThroughItsWorkerAndGoesOn) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  const auto pausing = jobs_->Pause(job.id, {});
  ASSERT_THAT(pausing, IsOk());
  EXPECT_EQ(pausing->state, JobState::kPausing);
  EXPECT_EQ(*leases_->Heartbeat(task.lease_token, 4, 10), Wish::kPause);
  EXPECT_THAT(Refused(&JobManager::Resume, job.id),
              HasError(kPrecondition, "JOB_PAUSING"));
  // The worker still may write: that is what it stops for.
  Report(task, 1, 4);
  Checkpoint(task, 4);
  Fail(task, FailureKind::kHandBack);
  EXPECT_EQ(JobById(job.id).state, JobState::kPaused);
  EXPECT_EQ(JobById(job.id).failure_count, 0);
  EXPECT_THAT(Events(job.id).back(), "Paused: WHY: said so");

  ASSERT_THAT(jobs_->Resume(job.id, {}), IsOk());
  const LeasedTask next = Lease();
  EXPECT_EQ(next.job.attempt, 2);
  ASSERT_TRUE(next.checkpoint.has_value());
  EXPECT_EQ(next.checkpoint->step, 4);
  EXPECT_THAT(Steps(job.id), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(*leases_->Heartbeat(next.lease_token, 5, 10), Wish::kContinue);
}

TEST_F(JobControlTest, APausingJobWhoseWorkerIsGoneIsPaused) {
  const storage::Job job = CreateDpoJob();
  Lease();
  ASSERT_THAT(jobs_->Pause(job.id, {}), IsOk());
  clock_.Advance(options_.duration);
  ASSERT_THAT(leases_->Tick(), IsOk());
  EXPECT_EQ(JobById(job.id).state, JobState::kPaused);
  EXPECT_THAT(Events(job.id).back(), HasSubstr("nothing was heard"));
}

TEST_F(JobControlTest, APausingJobMayBeCancelled) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(jobs_->Pause(job.id, {}), IsOk());
  EXPECT_EQ(jobs_->Cancel(job.id, {})->state, JobState::kCancelling);
  EXPECT_EQ(*leases_->Heartbeat(task.lease_token, 1, 10), Wish::kCancel);
  EXPECT_THAT(Refused(&JobManager::Pause, job.id),
              HasError(kPrecondition, "JOB_CANCELLING"));
  EXPECT_THAT(Refused(&JobManager::Resume, job.id),
              HasError(kPrecondition, "JOB_CANCELLING"));
  Fail(task, FailureKind::kHandBack);
  EXPECT_EQ(JobById(job.id).state, JobState::kCancelled);
}

// Two calls may set their wishes in the other order than they commit.
TEST_F(JobControlTest, ALatePauseDoesNotWeakenACancellation) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(jobs_->Pause(job.id, {}), IsOk());
  ASSERT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  table_.AskToStop(job.id, task.job.attempt, Wish::kPause);
  EXPECT_EQ(*leases_->Heartbeat(task.lease_token, 1, 10), Wish::kCancel);
}

TEST_F(JobControlTest, ALatePauseDoesNotStopTheNextAttempt) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask first = Lease();
  ASSERT_THAT(jobs_->Pause(job.id, {}), IsOk());
  Fail(first, FailureKind::kHandBack);
  ASSERT_THAT(jobs_->Resume(job.id, {}), IsOk());
  const LeasedTask second = Lease();
  table_.AskToStop(job.id, first.job.attempt, Wish::kPause);
  EXPECT_EQ(*leases_->Heartbeat(second.lease_token, 1, 10), Wish::kContinue);
  table_.AskToStop(job.id, second.job.attempt, Wish::kPause);
  EXPECT_EQ(*leases_->Heartbeat(second.lease_token, 1, 10), Wish::kPause);
}

TEST_F(JobControlTest, AJobInBackOffIsPausedAndStaysSoWhenItsDelayIsOver) {
  const storage::Job job = CreateDpoJob();
  for (int i = 0; i < 2; ++i) Fail(Lease(), FailureKind::kRetryable);
  ASSERT_EQ(JobById(job.id).state, JobState::kBackoff);
  EXPECT_EQ(jobs_->Pause(job.id, {})->state, JobState::kPaused);
  clock_.Advance(options_.max_delay);
  ASSERT_THAT(leases_->Tick(), IsOk());
  EXPECT_EQ(JobById(job.id).state, JobState::kPaused);
}

TEST_F(JobControlTest, AnEndedJobIsNeitherPausedNorResumed) {
  const storage::Job job = CreateDpoJob();
  ASSERT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  EXPECT_THAT(Refused(&JobManager::Pause, job.id),
              HasError(kPrecondition, "JOB_ENDED"));
  EXPECT_THAT(Refused(&JobManager::Resume, job.id),
              HasError(kPrecondition, "JOB_ENDED"));
  for (const Call call : {&JobManager::Pause, &JobManager::Resume}) {
    EXPECT_THAT(Refused(call, "job-none"), HasError(kNotFound, "NOT_FOUND"));
  }
}

TEST_F(JobControlTest, ARepeatedPauseDoesNotPauseAResumedJobAgain) {
  const storage::Job job = CreateDpoJob();
  const RequestKey pause = {NewUuid(), "pause"};
  ASSERT_THAT(jobs_->Pause(job.id, pause), IsOk());
  ASSERT_THAT(jobs_->Resume(job.id, {NewUuid(), "resume"}), IsOk());
  EXPECT_EQ(jobs_->Pause(job.id, pause)->state, JobState::kQueued);
  EXPECT_THAT(jobs_->Pause(job.id, {pause.id, "other"}),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
}

TEST_F(JobControlTest, ARetryGoesOnFromTheLastCheckpointOfTheOldJob) {
  const storage::Job old = CreateDpoJob();
  const LeasedTask task = Lease();
  Report(task, 1, 7);
  for (const int64_t step : {2, 4, 6}) Checkpoint(task, step);
  Fail(task, FailureKind::kPermanent);
  ASSERT_EQ(JobById(old.id).state, JobState::kFailed);

  const auto job = jobs_->Retry(old.id, {});
  ASSERT_THAT(job, IsOk());
  EXPECT_NE(job->id, old.id);
  EXPECT_EQ(job->retry_of, old.id);
  EXPECT_EQ(job->state, JobState::kQueued);
  EXPECT_EQ(job->attempt, 0);
  EXPECT_EQ(job->step, 6);
  EXPECT_EQ(job->total_steps, 10);
  EXPECT_EQ(job->config_digest, old.config_digest);
  EXPECT_EQ(job->spec, old.spec);
  EXPECT_THAT(Events(job->id),
              ElementsAre(absl::StrCat("Created and queued as a retry of ",
                                       old.id, ", from step 6")));
  // Its rows are the old ones up to the checkpoint, so that none is missing.
  EXPECT_THAT(Steps(job->id), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(jobs_->ListMetrics(job->id, 0, 1)->front().attempt, 0);

  const LeasedTask next = Lease();
  EXPECT_EQ(next.job.id, job->id);
  ASSERT_TRUE(next.checkpoint.has_value());
  EXPECT_EQ(next.checkpoint->step, 6);
  EXPECT_EQ(next.checkpoint->manifest, StoreTensors(6));
  // The old job is as it was.
  EXPECT_EQ(JobById(old.id).state, JobState::kFailed);
  EXPECT_THAT(Steps(old.id), SizeIs(7));
}

TEST_F(JobControlTest, ARetryWithoutACheckpointStartsAgain) {
  const storage::Job old = CreateDpoJob();
  Report(Lease(), 1, 3);
  ASSERT_THAT(jobs_->Cancel(old.id, {}), IsOk());
  clock_.Advance(options_.duration);
  ASSERT_THAT(leases_->Tick(), IsOk());
  const auto job = jobs_->Retry(old.id, {});
  ASSERT_THAT(job, IsOk());
  EXPECT_EQ(job->step, 0);
  EXPECT_THAT(Steps(job->id), SizeIs(0));
  AddWorker();
  EXPECT_FALSE(Lease().checkpoint.has_value());
}

TEST_F(JobControlTest, ARepeatedRetryMakesOneJob) {
  const storage::Job old = CreateDpoJob();
  ASSERT_THAT(jobs_->Cancel(old.id, {}), IsOk());
  const RequestKey key = {NewUuid(), "retry"};
  const auto first = jobs_->Retry(old.id, key);
  ASSERT_THAT(first, IsOk());
  const std::string before = Everything();
  EXPECT_EQ(jobs_->Retry(old.id, key)->id, first->id);
  EXPECT_EQ(Everything(), before);
  // Another request is another job.
  EXPECT_NE(jobs_->Retry(old.id, {NewUuid(), "retry"})->id, first->id);
}

TEST_F(JobControlTest, OnlyAJobThatFailedOrWasCancelledIsRetried) {
  EXPECT_THAT(Refused(&JobManager::Retry, "job-none"),
              HasError(kNotFound, "NOT_FOUND"));
  const storage::Job job = CreateDpoJob();
  EXPECT_THAT(Refused(&JobManager::Retry, job.id),
              HasError(kPrecondition, "JOB_NOT_ENDED"));
  const LeasedTask task = Lease();
  ASSERT_THAT(
      reports_->Complete(
          task.lease_token,
          TrainResult{{{storage::VersionSource::kAverage, StoreTensors(2)},
                       {storage::VersionSource::kLastIterate, StoreTensors(3)}},
                      {}}),
      IsOk());
  EXPECT_THAT(Refused(&JobManager::Retry, job.id),
              HasError(kPrecondition, "JOB_SUCCEEDED"));
}

TEST_F(JobControlTest, AJobIsNotRetriedOnOtherData) {
  const storage::Job job = CreateDpoJob();
  ASSERT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  ASSERT_THAT(datasets_->Delete("rta", {}), IsOk());
  EXPECT_THAT(Refused(&JobManager::Retry, job.id),
              HasError(kNotFound, "NOT_FOUND"));
  MakeSealed("rta", {Pair("p1", "a dog", "a cat"), Clean("c1")});
  EXPECT_THAT(Refused(&JobManager::Retry, job.id),
              HasError(kPrecondition, "INPUT_CHANGED"));
}

TEST_F(JobControlTest, AQueuedJobWhoseDataWasReplacedFailsForGood) {
  MakeSealed("other", {Pair("p9", "a dog", "a cat"), Clean("c1")});
  storage::Job job = CreateDpoJob();
  // Nothing in the service does this: a dataset in use is not deleted.
  ASSERT_THAT(state_->Write([&](storage::StateTransaction& transaction) {
    auto dataset = transaction.datasets().Get("rta");
    dataset->digest = transaction.datasets().Get("other")->digest;
    return transaction.datasets().Update(*dataset);
  }),
              IsOk());
  EXPECT_EQ(*AskForTask(), std::nullopt);
  job = JobById(job.id);
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_THAT(job.status_message, HasSubstr("INPUT_CHANGED"));
}

}  // namespace
}  // namespace attune::core
