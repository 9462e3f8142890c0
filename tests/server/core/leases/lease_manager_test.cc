#include "server/core/leases/lease_manager.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
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

constexpr auto kAborted = absl::StatusCode::kAborted;

TEST(LeaseOptionsTest, ALeaseUnderFourHeartbeatsIsRefused) {
  LeaseOptions options;
  EXPECT_THAT(options.Validate(), IsOk());
  options.duration = 4 * options.heartbeat_interval;
  EXPECT_THAT(options.Validate(), IsOk());
  options.duration -= absl::Milliseconds(1);
  EXPECT_THAT(options.Validate(),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_OPTIONS"));
}

TEST(LeaseOptionsTest, TheDefaultsAreTheContract) {
  const LeaseOptions options;
  EXPECT_EQ(options.heartbeat_interval, absl::Seconds(5));
  EXPECT_EQ(options.duration, absl::Seconds(30));
  EXPECT_EQ(options.FenceAfter(), absl::Seconds(20));
  EXPECT_EQ(options.max_failures, 5);
}

TEST(LeaseOptionsTest, AFenceThatIsTooEarlyOrTooLateIsRefused) {
  for (const int seconds : {9, 26, 40}) {
    LeaseOptions options;
    options.fence_after = absl::Seconds(seconds);
    EXPECT_THAT(options.Validate(),
                HasError(absl::StatusCode::kInvalidArgument, "INVALID_OPTIONS"))
        << seconds;
  }
  LeaseOptions options;
  options.fence_after = absl::Seconds(25);
  EXPECT_THAT(options.Validate(), IsOk());
}

TEST(LeaseOptionsTest, FailuresAndDelaysThatMakeNoSenseAreRefused) {
  LeaseOptions options;
  options.max_failures = 0;
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.max_delay = options.first_delay - absl::Seconds(1);
  EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
}

TEST(LeaseOptionsTest, TheDelayGrowsToItsCapWithJitter) {
  const LeaseOptions options;
  std::set<absl::Duration> seen;
  for (int job = 0; job < 100; ++job) {
    const std::string id = absl::StrCat("job-", job);
    EXPECT_EQ(options.DelayAfter(1, id), absl::ZeroDuration());
    for (const auto& [failures, seconds] : std::map<int, int>{
             {2, 10}, {3, 20}, {4, 40}, {8, 600}, {1'000, 600}}) {
      const absl::Duration delay = options.DelayAfter(failures, id);
      EXPECT_LE(delay, absl::Seconds(seconds));
      EXPECT_GE(delay, absl::Seconds(seconds) * 3 / 4);
      EXPECT_EQ(delay, options.DelayAfter(failures, id));
    }
    seen.insert(options.DelayAfter(2, id));
  }
  EXPECT_GT(seen.size(), 50);
}

class LeaseManagerTest : public JobsFixture {
 protected:
  void SetUp() override {
    AddBase();
    MakePreferences();
    AddWorker();
    metrics_ = {};
  }

  // Fails if the token may still write anything.
  void ExpectLost(const std::string& token) {
    storage::MetricRow row;
    row.step = 1;
    StoreTensors(1);
    const std::string before = Everything();
    EXPECT_THAT(leases_->Heartbeat(token, 1, 1),
                HasError(kAborted, "LEASE_LOST"));
    EXPECT_THAT(reports_->Check(token), HasError(kAborted, "LEASE_LOST"));
    EXPECT_THAT(reports_->AddMetrics(token, {row}, 9),
                HasError(kAborted, "LEASE_LOST"));
    EXPECT_THAT(reports_->CommitCheckpoint(token, 1, StoreTensors(1), "{}"),
                HasError(kAborted, "LEASE_LOST"));
    EXPECT_THAT(
        reports_->Complete(
            token,
            TrainResult{
                {{storage::VersionSource::kAverage, StoreTensors(1)},
                 {storage::VersionSource::kLastIterate, StoreTensors(1)}},
                {}}),
        HasError(kAborted, "LEASE_LOST"));
    EXPECT_THAT(reports_->Fail(token, FailureKind::kPermanent, "X", "y"),
                HasError(kAborted, "LEASE_LOST"));
    EXPECT_EQ(Everything(), before);
  }

  void PassTime(absl::Duration duration) {
    clock_.Advance(duration);
    ASSERT_THAT(leases_->Tick(), IsOk());
  }
};

TEST_F(LeaseManagerTest, ALeaseHasEverythingThatTheTaskNeeds) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  EXPECT_EQ(task.job.id, job.id);
  EXPECT_EQ(task.job.attempt, 1);
  EXPECT_EQ(task.job.state, JobState::kRunning);
  EXPECT_EQ(task.dataset.name, "rta");
  ASSERT_TRUE(task.model.has_value());
  EXPECT_EQ(task.model->version.number, 1);
  EXPECT_THAT(task.model->manifest, SizeIs(3));
  EXPECT_FALSE(task.checkpoint.has_value());
  const storage::Job stored = JobById(job.id);
  EXPECT_EQ(stored.worker_id, "w1");
  EXPECT_EQ(stored.start_time, clock_.WallNow());
  // The secret itself is not stored.
  EXPECT_EQ(task.lease_token.find(stored.lease_token_hash), std::string::npos);
  EXPECT_THAT(Events(job.id), ElementsAre("Created and queued",
                                          "Attempt 1 begins on worker w1"));
  EXPECT_EQ(workers_.List()[1].task, job.id);
}

TEST_F(LeaseManagerTest, TheOldestJobOfAnyKindComesFirst) {
  ASSERT_THAT(datasets_->Create("d", {}, {}), IsOk());
  ASSERT_THAT(Upload("d", {Clean("a")}), IsOk());
  const storage::Job first = CreateDpoJob();
  ASSERT_THAT(datasets_->Seal("d", {}), IsOk());
  const storage::Job last = CreateDpoJob();
  AddWorker("w2");
  AddWorker("w3");
  AddWorker("w4");
  EXPECT_EQ(Lease("w2").job.id, first.id);
  EXPECT_EQ(TaskName(Lease("w3").job), "validate-d");
  EXPECT_EQ(Lease("w4").job.id, last.id);
  EXPECT_EQ(*AskForTask("w1"), std::nullopt);
}

TEST_F(LeaseManagerTest, AWaitingWorkerIsWokenByANewJob) {
  std::optional<LeasedTask> task;
  leases_->WaitForTask("w1", absl::Seconds(30), [&](auto answer) {
    ASSERT_THAT(answer, IsOk());
    task = *std::move(answer);
  });
  RunExecutor();
  EXPECT_FALSE(task.has_value());
  const storage::Job job = CreateDpoJob();
  RunExecutor();
  ASSERT_TRUE(task.has_value());
  EXPECT_EQ(task->job.id, job.id);
}

TEST_F(LeaseManagerTest, WhoAskedFirstIsServedFirst) {
  AddWorker("w2");
  std::vector<std::string> served;
  for (const char* worker : {"w2", "w1"}) {
    leases_->WaitForTask(worker, absl::Seconds(30),
                         [&served, worker](auto) { served.push_back(worker); });
  }
  RunExecutor();
  CreateDpoJob();
  RunExecutor();
  CreateDpoJob();
  RunExecutor();
  EXPECT_THAT(served, ElementsAre("w2", "w1"));
}

TEST_F(LeaseManagerTest, AWaitEndsWithoutATask) {
  std::optional<bool> got_task;
  leases_->WaitForTask("w1", absl::Seconds(30), [&](auto answer) {
    got_task = answer.ok() && answer->has_value();
  });
  RunExecutor();
  PassTime(absl::Seconds(29));
  EXPECT_FALSE(got_task.has_value());
  PassTime(absl::Seconds(1));
  EXPECT_EQ(got_task, false);
}

TEST_F(LeaseManagerTest, ACancelledWaitTakesNoTask) {
  const int64_t wait = leases_->WaitForTask(
      "w1", absl::Seconds(30),
      [](auto answer) { EXPECT_FALSE(answer.ok() && answer->has_value()); });
  RunExecutor();
  leases_->CancelWait(wait);
  const storage::Job job = CreateDpoJob();
  RunExecutor();
  EXPECT_EQ(JobById(job.id).state, JobState::kQueued);
}

TEST_F(LeaseManagerTest, AfterStopNobodyGetsATask) {
  int answers = 0;
  const auto count = [&](absl::StatusOr<std::optional<LeasedTask>> answer) {
    EXPECT_FALSE(answer.ok() && answer->has_value());
    ++answers;
  };
  leases_->WaitForTask("w1", absl::Seconds(30), count);
  RunExecutor();
  leases_->StopWaits();
  EXPECT_EQ(answers, 1);
  leases_->WaitForTask("w1", absl::Seconds(30), count);
  EXPECT_EQ(answers, 2);
}

TEST_F(LeaseManagerTest, OnlyRegisteredTrainersGetTasks) {
  EXPECT_THAT(AskForTask("stranger"),
              HasError(absl::StatusCode::kNotFound, "WORKER_UNKNOWN"));
  ASSERT_THAT(
      workers_.Register("server", {WorkerRole::kServe},
                        {.kind = "cpu", .name = "", .memory_bytes = 0}, ""),
      IsOk());
  EXPECT_THAT(AskForTask("server"),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
}

TEST_F(LeaseManagerTest, HeartbeatsKeepALease) {
  CreateDpoJob();
  const LeasedTask task = Lease();
  for (int i = 0; i < 20; ++i) {
    PassTime(absl::Seconds(29));
    ASSERT_THAT(leases_->Heartbeat(task.lease_token, i, 100), IsOk());
  }
  EXPECT_EQ(JobById(task.job.id).state, JobState::kRunning);
  EXPECT_EQ(jobs_->Get(task.job.id)->step, 19);
  EXPECT_EQ(jobs_->Get(task.job.id)->total_steps, 100);
  EXPECT_EQ(metrics_.expirations, 0);
}

TEST_F(LeaseManagerTest, AnExpiredLeaseIsQueuedAgainAndTheOldTokenIsDead) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask first = Lease();
  PassTime(absl::Seconds(29));
  EXPECT_EQ(JobById(job.id).state, JobState::kRunning);
  PassTime(absl::Seconds(1));
  storage::Job stored = JobById(job.id);
  EXPECT_EQ(stored.state, JobState::kQueued);
  EXPECT_EQ(stored.failure_count, 1);
  EXPECT_EQ(stored.attempt, 1);
  EXPECT_EQ(stored.worker_id, "");
  EXPECT_EQ(metrics_.expirations, 1);
  ExpectLost(first.lease_token);

  AddWorker("w2");
  const LeasedTask second = Lease("w2");
  EXPECT_EQ(second.job.id, job.id);
  EXPECT_EQ(second.job.attempt, 2);
  EXPECT_NE(second.lease_token, first.lease_token);
  ExpectLost(first.lease_token);
  EXPECT_THAT(leases_->Heartbeat(second.lease_token, 1, 1), IsOk());
  EXPECT_THAT(Events(job.id).back(), HasSubstr("Attempt 2 begins"));
}

TEST_F(LeaseManagerTest, WallTimeDecidesNothing) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  for (const absl::Time wall :
       {clock_.WallNow() + absl::Hours(1), clock_.WallNow() - absl::Hours(1),
        absl::UnixEpoch()}) {
    clock_.SetWall(wall);
    ASSERT_THAT(leases_->Tick(), IsOk());
    EXPECT_THAT(leases_->Heartbeat(task.lease_token, 1, 1), IsOk());
  }
  EXPECT_EQ(JobById(job.id).state, JobState::kRunning);
}

TEST_F(LeaseManagerTest, AfterFiveLostLeasesTheJobHasFailed) {
  const storage::Job job = CreateDpoJob();
  for (int i = 0; i < options_.max_failures; ++i) {
    EXPECT_EQ(JobById(job.id).state, JobState::kQueued);
    AddWorker();
    Lease();
    PassTime(options_.duration);
  }
  const storage::Job stored = JobById(job.id);
  EXPECT_EQ(stored.state, JobState::kFailed);
  EXPECT_THAT(stored.status_message, HasSubstr("nothing was heard of worker"));
  EXPECT_EQ(stored.end_time, clock_.WallNow());
}

TEST_F(LeaseManagerTest, ACancelledJobWhoseWorkerIsGoneIsCancelled) {
  const storage::Job job = CreateDpoJob();
  Lease();
  ASSERT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  PassTime(options_.duration);
  EXPECT_EQ(JobById(job.id).state, JobState::kCancelled);
}

TEST_F(LeaseManagerTest, AWorkerThatAsksAgainHandsItsTaskBack) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask first = Lease();
  const LeasedTask second = Lease();
  EXPECT_EQ(second.job.id, job.id);
  EXPECT_EQ(second.job.attempt, 2);
  EXPECT_EQ(second.job.failure_count, 0);
  ExpectLost(first.lease_token);
}

TEST_F(LeaseManagerTest, ATaskThatDidNotArriveGoesBackWithoutAFailure) {
  const storage::Job job = CreateDpoJob();
  leases_->HandBack(Lease());
  const storage::Job stored = JobById(job.id);
  EXPECT_EQ(stored.state, JobState::kQueued);
  EXPECT_EQ(stored.failure_count, 0);
}

TEST_F(LeaseManagerTest, ARestartGivesEveryLeaseOneFreshTermAndNoNewAttempt) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  clock_.Advance(absl::Seconds(25));
  // The server starts again: memory is lost, the databases are not.
  LeaseTable table(clock_, options_.duration);
  WorkerRegistry workers(clock_, options_.duration);
  LeaseManager restarted(*state_, clock_, executor_, workers, table, signals_,
                         metrics_, options_);
  ASSERT_THAT(restarted.Recover(), IsOk());
  clock_.Advance(absl::Seconds(29));
  ASSERT_THAT(restarted.Tick(), IsOk());
  EXPECT_THAT(restarted.Heartbeat(task.lease_token, 1, 1), IsOk());
  EXPECT_EQ(JobById(job.id).attempt, 1);
  EXPECT_EQ(JobById(job.id).state, JobState::kRunning);
  clock_.Advance(absl::Seconds(30));
  ASSERT_THAT(restarted.Tick(), IsOk());
  EXPECT_EQ(JobById(job.id).state, JobState::kQueued);
}

TEST_F(LeaseManagerTest, ARestartKeepsCancelWishesAndDelays) {
  const storage::Job running = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(jobs_->Cancel(running.id, {}), IsOk());
  AddWorker("w2");
  const storage::Job failing = CreateDpoJob();
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(reports_->Fail(Lease("w2").lease_token, FailureKind::kRetryable,
                               "CRASHED", ""),
                IsOk());
  }
  EXPECT_EQ(JobById(failing.id).state, JobState::kBackoff);

  LeaseTable table(clock_, options_.duration);
  LeaseManager restarted(*state_, clock_, executor_, workers_, table, signals_,
                         metrics_, options_);
  ASSERT_THAT(restarted.Recover(), IsOk());
  EXPECT_EQ(*restarted.Heartbeat(task.lease_token, 1, 1), Wish::kCancel);
  clock_.Advance(absl::Seconds(7));
  ASSERT_THAT(restarted.Tick(), IsOk());
  EXPECT_EQ(JobById(failing.id).state, JobState::kBackoff);
  clock_.Advance(absl::Seconds(3));
  ASSERT_THAT(restarted.Tick(), IsOk());
  EXPECT_EQ(JobById(failing.id).state, JobState::kQueued);
}

TEST_F(LeaseManagerTest, AJobWhoseInputIsGoneFailsInsteadOfBlockingTheQueue) {
  AddBase("gone");
  TrainRequest request = DpoOnRta();
  request.base = "gone";
  const auto broken = jobs_->CreateTrain(request, {});
  ASSERT_THAT(broken, IsOk());
  const auto good = jobs_->CreateTrain(DpoOnRta(), {});
  ASSERT_THAT(good, IsOk());
  // Nothing in the service does this.
  ASSERT_THAT(state_->Write([&](storage::StateTransaction& transaction) {
    return transaction.models().Delete("gone");
  }),
              IsOk());
  EXPECT_EQ(Lease().job.id, good->id);
  EXPECT_EQ(JobById(broken->id).state, JobState::kFailed);
  EXPECT_THAT(JobById(broken->id).status_message, HasSubstr("INPUT_MISSING"));
}

}  // namespace
}  // namespace attune::core
