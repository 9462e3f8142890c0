// Results of tasks.

#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/leases/task_reports_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using storage::JobState;
using storage::VersionSource;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kAborted = absl::StatusCode::kAborted;

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

}  // namespace
}  // namespace attune::core
