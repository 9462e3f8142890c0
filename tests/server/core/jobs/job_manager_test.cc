#include "server/core/jobs/job_manager.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/jobs/job_digest.h"
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
using ::testing::StartsWith;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kNotFound = absl::StatusCode::kNotFound;
// More tokens than the test model's context.
constexpr char kLongText[] =
    "one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen";

class JobManagerTest : public JobsFixture {
 protected:
  // The error of a job that must be refused without a trace.
  absl::Status Refused(const TrainRequest& request) {
    const std::string before = Everything();
    const absl::Status status = jobs_->CreateTrain(request, {}).status();
    EXPECT_EQ(Everything(), before);
    return status;
  }
};

TEST_F(JobManagerTest, ACreatedJobIsQueuedWithItsVersionPinned) {
  AddBase();
  MakePreferences();
  const auto job = jobs_->CreateTrain(DpoOnRta(), {});
  ASSERT_THAT(job, IsOk());
  EXPECT_THAT(job->id, StartsWith("job-"));
  EXPECT_EQ(job->state, JobState::kQueued);
  EXPECT_EQ(job->create_time, clock_.WallNow());
  EXPECT_EQ(std::get<storage::TrainSpec>(job->spec).base, "base:1");
  EXPECT_EQ(job->status_message, "position 1");
  EXPECT_EQ(job->config_digest.size(), 64);
  EXPECT_THAT(Events(job->id), ElementsAre("Created and queued"));
  // A later version does not change what the job starts from.
  AddBase();
  EXPECT_EQ(std::get<storage::TrainSpec>(jobs_->Get(job->id)->spec).base,
            "base:1");
}

TEST_F(JobManagerTest, UnknownThingsAreNotFound) {
  AddBase();
  MakePreferences();
  TrainRequest request = DpoOnRta();
  request.dataset = "none";
  EXPECT_THAT(Refused(request), HasError(kNotFound, "NOT_FOUND"));
  request = DpoOnRta();
  for (const char* base : {"none", "base:7", "base@none"}) {
    request.base = base;
    EXPECT_EQ(Refused(request).code(), kNotFound) << base;
  }
  request = DpoOnRta();
  request.eval_dataset = "none";
  EXPECT_THAT(Refused(request), HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->Get("job-none"), HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->Cancel("job-none", {}), HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->ListMetrics("job-none", 0, 1),
              HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->ListEvents("job-none", 0, 1),
              HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->ListCheckpoints("job-none"),
              HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->GetEvaluation("job-none", ""),
              HasError(kNotFound, "NOT_FOUND"));
  EXPECT_THAT(jobs_->Update("job-none", {}), HasError(kNotFound, "NOT_FOUND"));
}

TEST_F(JobManagerTest, ABadFieldIsNamedBeforeAnythingIsRead) {
  TrainRequest request = DpoOnRta();
  request.optimizer.learning_rate = 0;
  const absl::Status status = Refused(request);
  EXPECT_THAT(status, HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(ErrorFields(status)[0].field, "train.optimizer.learning_rate");
}

TEST_F(JobManagerTest, MoreBlocksThanTheBaseHasAreRefused) {
  AddBase();
  MakePreferences();
  TrainRequest request = DpoOnRta();
  request.trained_part = {.kind = storage::TrainedKind::kLast,
                          .last_blocks = 1};
  EXPECT_THAT(jobs_->CreateTrain(request, {}), IsOk());
  request.trained_part.last_blocks = 1'000;
  const absl::Status status = Refused(request);
  EXPECT_THAT(status, HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(ErrorFields(status)[0].field, "train.trained_part.last_blocks");
}

TEST_F(JobManagerTest, TheDatasetMustBeSealedAndNotEmpty) {
  AddBase();
  ASSERT_THAT(datasets_->Create("rta", {}, {}), IsOk());
  EXPECT_THAT(Refused(DpoOnRta()), HasError(kPrecondition, "EMPTY_DATASET"));
  ASSERT_THAT(Upload("rta", {Pair("p", "a", "b"), Clean("c")}), IsOk());
  EXPECT_THAT(Refused(DpoOnRta()),
              HasError(kPrecondition, "DATASET_NOT_SEALED"));
  ASSERT_THAT(datasets_->Seal("rta", {}), IsOk());
  EXPECT_THAT(Refused(DpoOnRta()),
              HasError(kPrecondition, "DATASET_NOT_SEALED"));
}

TEST_F(JobManagerTest, TheDatasetMustHaveWhatTheObjectiveNeeds) {
  AddBase();
  MakeSealed("rta", {Labelled("l", "a dog")});
  EXPECT_THAT(Refused(DpoOnRta()), HasError(kPrecondition, "NO_PAIR_EXAMPLES"));
  TrainRequest request = DpoOnRta();
  request.objective = Objective("infonce");
  EXPECT_THAT(Refused(request), HasError(kPrecondition, "NO_CAPTION_EXAMPLES"));
}

TEST_F(JobManagerTest, AKlWeightNeedsCleanImages) {
  AddBase();
  MakeSealed("rta", {Pair("p", "a", "b")});
  EXPECT_THAT(Refused(DpoOnRta()),
              HasError(kPrecondition, "NO_CLEAN_EXAMPLES"));
  TrainRequest request = DpoOnRta();
  request.objective = Objective("dpo", {{"kl_weight", 0}});
  const auto job = jobs_->CreateTrain(request, {});
  ASSERT_THAT(job, IsOk());
  ASSERT_THAT(jobs_->Cancel(job->id, {}), IsOk());

  MakeSealed("captions", {Caption("c", "a")});
  request.dataset = "captions";
  request.objective = Objective("infonce", {{"kl_weight", 0.1}});
  EXPECT_THAT(Refused(request), HasError(kPrecondition, "NO_CLEAN_EXAMPLES"));
}

TEST_F(JobManagerTest, KtoNeedsCleanImagesWhateverTheKlWeight) {
  AddBase();
  MakeSealed("rta", {Pair("p", "a", "b")});
  TrainRequest request = DpoOnRta();
  request.objective = Objective("kto", {{"kl_weight", 0}});
  EXPECT_THAT(Refused(request), HasError(kPrecondition, "NO_CLEAN_EXAMPLES"));
  request.objective = Objective("ipo", {{"kl_weight", 0}});
  EXPECT_THAT(jobs_->CreateTrain(request, {}), IsOk());
}

TEST_F(JobManagerTest, ASoftmaxOverAllCandidatesTakesAThousandAtMost) {
  AddBase();
  std::vector<ExampleInput> examples = {Clean("c")};
  for (int i = 0; i < 501; ++i) {
    examples.push_back(
        Pair(absl::StrCat("p", i), absl::StrCat("w", i), absl::StrCat("l", i)));
  }
  MakeSealed("rta", examples);
  EXPECT_THAT(Refused(DpoOnRta()),
              HasError(kPrecondition, "TOO_MANY_CANDIDATES"));
  TrainRequest request = DpoOnRta();
  request.objective = Objective("ce");
  EXPECT_THAT(Refused(request), HasError(kPrecondition, "TOO_MANY_CANDIDATES"));
  request.objective = Objective("dpo", {{"kl_weight", 0}});
  EXPECT_THAT(jobs_->CreateTrain(request, {}), IsOk());
}

TEST_F(JobManagerTest, AVersionWithALinearHeadIsNoBase) {
  AddBase("base", /*head=*/true);
  MakePreferences();
  EXPECT_THAT(Refused(DpoOnRta()), HasError(kPrecondition, "BASE_HAS_HEAD"));
}

TEST_F(JobManagerTest, ACleanTwinOfAPairIsACleanImage) {
  AddBase();
  ExampleInput pair = Pair("p", "a", "b");
  pair.clean_image = FakePng("twin");
  MakeSealed("rta", {pair});
  TrainRequest request = DpoOnRta();
  EXPECT_THAT(jobs_->CreateTrain(request, {}), IsOk());
  // Twins come with their pairs: the size of another stream means nothing.
  request.clean_batch_size = 8;
  EXPECT_THAT(Refused(request), HasError(kPrecondition, "NO_CLEAN_EXAMPLES"));
}

TEST_F(JobManagerTest, ATextLongerThanTheContextIsRefusedUnlessTruncated) {
  AddBase();
  MakeSealed("rta", {Clean("c"), Pair("p", "a dog", kLongText)});
  TrainRequest request = DpoOnRta();
  const absl::Status status = Refused(request);
  EXPECT_THAT(status, HasError(kInvalid, "TEXT_TOO_LONG"));
  ASSERT_THAT(ErrorFields(status), SizeIs(1));
  EXPECT_EQ(ErrorFields(status)[0].field, "train.dataset");
  EXPECT_THAT(ErrorFields(status)[0].description, HasSubstr("example 2"));
  request.truncate = true;
  EXPECT_THAT(jobs_->CreateTrain(request, {}), IsOk());
}

TEST_F(JobManagerTest, LongTextsThatTheJobDoesNotReadDoNotMatter) {
  AddBase();
  MakeSealed("rta", {Pair("p", "a", "b"), Caption("c", kLongText)});
  TrainRequest request = DpoOnRta();
  request.objective = Objective("dpo", {{"kl_weight", 0}});
  EXPECT_THAT(jobs_->CreateTrain(request, {}), IsOk());
}

TEST_F(JobManagerTest, AnEvaluationPinsItsVersionsAndTakesTheBaseToCompare) {
  AddBase();
  MakePreferences();
  AddWorker();
  CreateDpoJob();
  const LeasedTask task = Lease();
  ASSERT_THAT(
      reports_->Complete(
          task.lease_token,
          TrainResult{{{storage::VersionSource::kAverage, StoreTensors(2)},
                       {storage::VersionSource::kLastIterate, StoreTensors(3)}},
                      {}}),
      IsOk());
  const auto job = jobs_->CreateEvaluate({.dataset = "rta",
                                          .model = "robust",
                                          .against = "",
                                          .templates = {"a photo of {}."},
                                          .truncate = false},
                                         {});
  ASSERT_THAT(job, IsOk());
  const auto& spec = std::get<storage::EvaluateSpec>(job->spec);
  EXPECT_EQ(spec.model, "robust:1");
  EXPECT_EQ(spec.against, "base:1");
}

TEST_F(JobManagerTest, AnEvaluationOfAHeadIsAtTheKnobOrWhatWasTrained) {
  AddBase("head", /*head=*/true);
  MakePreferences();
  EvaluateRequest request;
  request.dataset = "rta";
  request.model = "head";
  const auto knob = [&](std::optional<double> t) {
    request.t = t;
    const auto job = jobs_->CreateEvaluate(request, {});
    EXPECT_THAT(job, IsOk());
    return std::pair(std::get<storage::EvaluateSpec>(job->spec).t,
                     job->config_digest);
  };
  const auto trained = knob(std::nullopt);
  EXPECT_EQ(trained.first, 1);
  EXPECT_EQ(knob(1), trained);
  const auto half = knob(0.5);
  EXPECT_EQ(half.first, 0.5);
  EXPECT_NE(half.second, trained.second);
  EXPECT_NE(knob(0).second, half.second);
}

TEST_F(JobManagerTest, AKnobWithoutAHeadOrOutOfRangeIsRefused) {
  AddBase();
  AddBase("head", /*head=*/true);
  MakePreferences();
  const std::string before = Everything();
  EvaluateRequest request;
  request.dataset = "rta";
  request.model = "base";
  // Against one with a head: the knob is the model's.
  request.against = "head";
  request.t = 0;
  const absl::Status status = jobs_->CreateEvaluate(request, {}).status();
  EXPECT_THAT(status, HasError(kInvalid, "NO_LINEAR_HEAD"));
  ASSERT_THAT(ErrorFields(status), SizeIs(1));
  EXPECT_EQ(ErrorFields(status)[0].field, "evaluate.t");
  request.model = "head";
  for (const double t : {-4.5, 5.0, std::nan("")}) {
    request.t = t;
    EXPECT_THAT(jobs_->CreateEvaluate(request, {}),
                HasError(kInvalid, "INVALID_FIELD"))
        << t;
  }
  EXPECT_EQ(Everything(), before);
}

TEST_F(JobManagerTest, ATemplateThatMakesATextTooLongIsRefused) {
  AddBase();
  MakePreferences();
  const std::string before = Everything();
  EXPECT_THAT(
      jobs_->CreateEvaluate({.dataset = "rta",
                             .model = "base",
                             .against = "",
                             .templates = {absl::StrCat("{} ", kLongText)},
                             .truncate = false},
                            {}),
      HasError(kInvalid, "TEXT_TOO_LONG"));
  EXPECT_EQ(Everything(), before);
}

TEST_F(JobManagerTest, TheDatasetToEvaluateOnIsCheckedToo) {
  AddBase();
  MakePreferences();
  MakeSealed("long", {Caption("c", kLongText)});
  TrainRequest request = DpoOnRta();
  request.eval_dataset = "long";
  const absl::Status status = Refused(request);
  EXPECT_THAT(status, HasError(kInvalid, "TEXT_TOO_LONG"));
  EXPECT_EQ(ErrorFields(status)[0].field, "train.eval_dataset");
}

TEST_F(JobManagerTest, ARepeatedCreateGivesTheFirstJob) {
  AddBase();
  MakePreferences();
  const RequestKey key = {NewUuid(), "digest"};
  const auto first = jobs_->CreateTrain(DpoOnRta(), key);
  ASSERT_THAT(first, IsOk());
  const std::string before = Everything();
  const auto second = jobs_->CreateTrain(DpoOnRta(), key);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->id, first->id);
  EXPECT_THAT(jobs_->CreateTrain(DpoOnRta(), {key.id, "other"}),
              HasError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  EXPECT_THAT(jobs_->CreateTrain(DpoOnRta(), {"1234", "digest"}),
              HasError(kInvalid, "INVALID_REQUEST_ID"));
  EXPECT_EQ(Everything(), before);
}

TEST_F(JobManagerTest, ARequestIsForgottenAfterADay) {
  AddBase();
  MakePreferences();
  const RequestKey key = {NewUuid(), "digest"};
  const auto first = jobs_->CreateTrain(DpoOnRta(), key);
  ASSERT_THAT(first, IsOk());
  clock_.Advance(kRequestLifetime + absl::Seconds(1));
  ASSERT_THAT(leases_->Tick(), IsOk());
  const auto second = jobs_->CreateTrain(DpoOnRta(), key);
  ASSERT_THAT(second, IsOk());
  EXPECT_NE(second->id, first->id);
}

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

TEST_F(JobManagerTest, TheConfigDigestChangesWithEveryInput) {
  const storage::TrainSpec spec;
  const std::string digest = ConfigDigest(spec, {"x", "y"});
  EXPECT_EQ(ConfigDigest(spec, {"x", "y"}), digest);
  EXPECT_NE(ConfigDigest(spec, {"y", "x"}), digest);
  storage::TrainSpec other = spec;
  other.optimizer.learning_rate *= 1 + 1e-15;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
  other = spec;
  other.epochs = 3;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
  other = spec;
  other.trained_part.kind = storage::TrainedKind::kImage;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
  other = spec;
  other.precision = storage::Precision::kAuto;
  EXPECT_NE(ConfigDigest(other, {"x", "y"}), digest);
}

TEST_F(JobManagerTest, AKnobAtItsDefaultLeavesTheDigestOfOlderJobs) {
  storage::EvaluateSpec spec;
  const std::string digest = ConfigDigest(spec, {});
  spec.t = 1;
  EXPECT_EQ(ConfigDigest(spec, {}), digest);
  spec.t = 0;
  EXPECT_NE(ConfigDigest(spec, {}), digest);
}

}  // namespace
}  // namespace attune::core
