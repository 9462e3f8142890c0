#include "server/core/leases/task_reports.h"

#include <string>
#include <utility>
#include <vector>

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
using storage::VersionSource;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kAborted = absl::StatusCode::kAborted;

std::vector<storage::MetricRow> Rows(int64_t first, int64_t last) {
  std::vector<storage::MetricRow> rows;
  for (int64_t step = first; step <= last; ++step) {
    storage::MetricRow row;
    row.step = step;
    row.loss = 1.0 / static_cast<double>(step);
    row.pair_accuracy = 0.5;
    rows.push_back(row);
  }
  return rows;
}

class TaskReportsTest : public JobsFixture {
 protected:
  void SetUp() override {
    AddBase();
    MakePreferences();
    AddWorker();
    metrics_ = {};
  }

  TrainResult Outputs() {
    return {{{VersionSource::kAverage, StoreTensors(2)},
             {VersionSource::kLastIterate, StoreTensors(3)}},
            {}};
  }

  void CommitCheckpoints(const LeasedTask& task,
                         const std::vector<int64_t>& steps) {
    for (const int64_t step : steps) {
      ASSERT_THAT(reports_->CommitCheckpoint(
                      task.lease_token, step,
                      StoreTensors(static_cast<float>(step)), "{}"),
                  IsOk());
    }
  }

  void HandBack(const LeasedTask& task) {
    ASSERT_THAT(reports_->Fail(task.lease_token, FailureKind::kHandBack, "",
                               "the worker stops"),
                IsOk());
  }

  storage::Model ModelNamed(absl::string_view name) {
    storage::Model model;
    EXPECT_THAT(state_->Read([&](storage::StateTransaction& transaction) {
      auto found = transaction.models().Get(name);
      if (found.ok()) model = *found;
      return found.status();
    }),
                IsOk());
    return model;
  }

  storage::Version VersionOf(absl::string_view model, int32_t number) {
    storage::Version version;
    EXPECT_THAT(state_->Read([&](storage::StateTransaction& transaction) {
      auto found = transaction.models().GetVersion(model, number);
      if (found.ok()) version = *found;
      return found.status();
    }),
                IsOk());
    return version;
  }
};

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

TEST_F(TaskReportsTest, ACompletedTrainingMakesTheAverageAndTheLastIterate) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(reports_->AddMetrics(task.lease_token, Rows(1, 40), 40), IsOk());
  const auto versions = reports_->Complete(task.lease_token, Outputs());
  ASSERT_THAT(versions, IsOk());
  EXPECT_THAT(*versions, ElementsAre("robust:1", "robust:2"));

  const storage::Job stored = JobById(job.id);
  EXPECT_EQ(stored.state, JobState::kSucceeded);
  EXPECT_EQ(stored.end_time, clock_.WallNow());
  EXPECT_THAT(stored.output_versions, ElementsAre("robust:1", "robust:2"));
  EXPECT_EQ(stored.worker_id, "");
  EXPECT_EQ(ModelNamed("robust").aliases.at("latest"), 1);
  const storage::Version average = VersionOf("robust", 1);
  EXPECT_EQ(average.source, VersionSource::kAverage);
  EXPECT_EQ(average.job_id, job.id);
  EXPECT_EQ(average.base, "base:1");
  EXPECT_EQ(average.dataset, "rta");
  EXPECT_EQ(average.dataset_digest, datasets_->Get("rta")->dataset.digest);
  EXPECT_EQ(average.config.context_length, kContextLength);
  EXPECT_EQ(VersionOf("robust", 2).source, VersionSource::kLastIterate);
  EXPECT_EQ(Events(job.id).back(), "Succeeded, made robust:1, robust:2");
  EXPECT_EQ(table_.OfJob(job.id), std::nullopt);
}

TEST_F(TaskReportsTest, RepeatingACompletionIsAnsweredAsTheFirstTime) {
  CreateDpoJob();
  const LeasedTask task = Lease();
  const TrainResult result = Outputs();
  const auto first = reports_->Complete(task.lease_token, result);
  ASSERT_THAT(first, IsOk());
  const std::string before = Everything();
  const auto second = reports_->Complete(task.lease_token, result);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(*second, *first);
  EXPECT_EQ(Everything(), before);
  // Everything else of the token is over.
  EXPECT_THAT(reports_->AddMetrics(task.lease_token, Rows(1, 2), 0),
              HasError(kAborted, "LEASE_LOST"));
  EXPECT_THAT(reports_->Fail(task.lease_token, FailureKind::kRetryable, "", ""),
              HasError(kAborted, "LEASE_LOST"));
}

TEST_F(TaskReportsTest, WithoutAnAverageThereIsOneVersion) {
  TrainRequest request = DpoOnRta();
  request.average = false;
  ASSERT_THAT(jobs_->CreateTrain(request, {}), IsOk());
  const LeasedTask task = Lease();
  EXPECT_THAT(reports_->Complete(task.lease_token, Outputs()),
              HasError(kInvalid, "INVALID_RESULT"));
  const auto versions = reports_->Complete(
      task.lease_token,
      TrainResult{{{VersionSource::kLastIterate, StoreTensors(3)}}, {}});
  ASSERT_THAT(versions, IsOk());
  EXPECT_THAT(*versions, ElementsAre("robust:1"));
}

TEST_F(TaskReportsTest, AHeadIsStoredBesideTheBasesTensors) {
  TrainRequest request = DpoOnRta();
  request.average = false;
  request.trained_part.kind = storage::TrainedKind::kHead;
  ASSERT_THAT(jobs_->CreateTrain(request, {}), IsOk());
  const LeasedTask task = Lease();
  const auto complete = [&](const storage::TensorManifest& manifest) {
    return reports_->Complete(
        task.lease_token,
        TrainResult{{{VersionSource::kLastIterate, manifest}}, {}});
  };
  const storage::TensorManifest good = WithHead(StoreTensors(1));
  EXPECT_THAT(complete(StoreTensors(1)), HasError(kInvalid, "INVALID_RESULT"));
  storage::TensorManifest bad = good;
  bad.erase(bad.begin());
  EXPECT_THAT(complete(bad), HasError(kInvalid, "INVALID_RESULT"));
  bad = good;
  bad[1].shape = {4};
  EXPECT_THAT(complete(bad), HasError(kInvalid, "INVALID_RESULT"));
  ASSERT_THAT(complete(good), IsOk());
  // V [2, 2] and S [2]: all else is the base's.
  EXPECT_EQ(VersionOf("robust", 1).own_size_bytes, 8);
}

TEST_F(TaskReportsTest, AHeadOfAnotherJobIsRefused) {
  CreateDpoJob();
  const LeasedTask task = Lease();
  TrainResult result = Outputs();
  result.outputs[0].manifest = WithHead(StoreTensors(2));
  EXPECT_THAT(reports_->Complete(task.lease_token, result),
              HasError(kInvalid, "INVALID_RESULT"));
}

TEST_F(TaskReportsTest, AResultThatIsNotOfTheTaskChangesNothing) {
  CreateDpoJob();
  const LeasedTask task = Lease();
  storage::TensorManifest other_shape = StoreTensors(2);
  other_shape.pop_back();
  storage::TensorManifest missing = StoreTensors(2);
  missing[1].blob_digest = std::string(64, 'b');
  const TrainResult good = Outputs();
  const std::string before = Everything();
  EXPECT_THAT(reports_->Complete(task.lease_token, EvaluateResult{}),
              HasError(kInvalid, "INVALID_RESULT"));
  EXPECT_THAT(reports_->Complete(task.lease_token, ValidateResult{}),
              HasError(kInvalid, "INVALID_RESULT"));
  TrainResult bad = good;
  std::swap(bad.outputs[0], bad.outputs[1]);
  EXPECT_THAT(reports_->Complete(task.lease_token, bad),
              HasError(kInvalid, "INVALID_RESULT"));
  bad = good;
  bad.evaluations.resize(1);
  EXPECT_THAT(reports_->Complete(task.lease_token, bad),
              HasError(kInvalid, "INVALID_RESULT"));
  bad = good;
  bad.outputs[1].manifest = other_shape;
  EXPECT_THAT(reports_->Complete(task.lease_token, bad),
              HasError(kInvalid, "INVALID_RESULT"));
  bad.outputs[1].manifest = missing;
  EXPECT_THAT(reports_->Complete(task.lease_token, bad),
              HasError(kPrecondition, "BLOB_MISSING"));
  EXPECT_EQ(Everything(), before);
  EXPECT_THAT(reports_->Complete(task.lease_token, good), IsOk());
}

TEST_F(TaskReportsTest, TheEvaluationsOfEveryOutputAreStored) {
  TrainRequest request = DpoOnRta();
  request.eval_dataset = "rta";
  const auto job = jobs_->CreateTrain(request, {});
  ASSERT_THAT(job, IsOk());
  const LeasedTask task = Lease();
  ASSERT_TRUE(task.eval_dataset.has_value());
  TrainResult result = Outputs();
  result.evaluations = {
      {{{"pair_accuracy", 1, 2}}, {{"pair_accuracy", 0.5, 2}}},
      {{{"pair_accuracy", 0, 2}}, {{"pair_accuracy", 0.5, 2}}}};
  storage::FigureComparison comparison;
  comparison.difference = {"pair_accuracy", 0.5, 2};
  comparison.only_model = 1;
  comparison.p_value = 1;
  result.evaluations[0].comparisons = {comparison};
  ASSERT_THAT(reports_->Complete(task.lease_token, result), IsOk());
  const auto evaluation = jobs_->GetEvaluation(job->id, "");
  ASSERT_THAT(evaluation, IsOk());
  EXPECT_EQ(evaluation->model, "robust:1");
  EXPECT_EQ(evaluation->against, "base:1");
  ASSERT_THAT(evaluation->figures, SizeIs(1));
  EXPECT_EQ(evaluation->figures[0].value, 1);
  EXPECT_EQ(evaluation->against_figures[0].value, 0.5);
  ASSERT_THAT(evaluation->comparisons, SizeIs(1));
  EXPECT_EQ(evaluation->comparisons[0].p_value, 1);
  const auto last = jobs_->GetEvaluation(job->id, "robust:2");
  ASSERT_THAT(last, IsOk());
  EXPECT_EQ(last->model, "robust:2");
  EXPECT_EQ(last->figures[0].value, 0);
  EXPECT_THAT(jobs_->GetEvaluation(job->id, "base"),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  EXPECT_THAT(*jobs_->ListEvaluations({"robust", ""}, 0, 10), SizeIs(2));
  EXPECT_THAT(*jobs_->ListEvaluations({"robust@latest", ""}, 0, 10), SizeIs(1));
  EXPECT_THAT(*jobs_->ListEvaluations({"", job->id}, 0, 10), SizeIs(2));
  EXPECT_THAT(jobs_->ListEvaluations({"", "job-none"}, 0, 10),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->ListEvaluations({"robust:9", ""}, 0, 10),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(TaskReportsTest, AnEvaluationJobStoresItsFigures) {
  const auto job = jobs_->CreateEvaluate({.dataset = "rta",
                                          .model = "base",
                                          .against = "",
                                          .templates = {},
                                          .truncate = false},
                                         {});
  ASSERT_THAT(job, IsOk());
  EXPECT_EQ(jobs_->GetEvaluation(job->id, "").status().code(),
            absl::StatusCode::kNotFound);
  const LeasedTask task = Lease();
  EXPECT_FALSE(task.against.has_value());
  ASSERT_THAT(reports_->Complete(task.lease_token,
                                 EvaluateResult{{{"clean_top1", 0.75, 4}}, {}}),
              IsOk());
  EXPECT_EQ(JobById(job->id).state, JobState::kSucceeded);
  EXPECT_EQ(jobs_->GetEvaluation(job->id, "")->figures[0].name, "clean_top1");
}

TEST_F(TaskReportsTest, CompletingACancelledJobMakesNoVersion) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(jobs_->Cancel(job.id, {}), IsOk());
  const auto versions = reports_->Complete(task.lease_token, Outputs());
  ASSERT_THAT(versions, IsOk());
  EXPECT_THAT(*versions, IsEmpty());
  EXPECT_EQ(JobById(job.id).state, JobState::kCancelled);
  EXPECT_THAT(state_->Read([](storage::StateTransaction& transaction) {
    return transaction.models().Get("robust").status();
  }),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

TEST_F(TaskReportsTest, AResultThatArrivesWhileTheJobPausesIsKept) {
  const storage::Job job = CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_EQ(jobs_->Pause(job.id, {})->state, JobState::kPausing);
  const auto versions = reports_->Complete(task.lease_token, Outputs());
  ASSERT_THAT(versions, IsOk());
  EXPECT_THAT(*versions, ElementsAre("robust:1", "robust:2"));
  EXPECT_EQ(JobById(job.id).state, JobState::kSucceeded);
  EXPECT_EQ(table_.OfJob(job.id), std::nullopt);
  EXPECT_THAT(jobs_->Pause(job.id, {}), HasError(kPrecondition, "JOB_ENDED"));
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
