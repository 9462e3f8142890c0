#include "server/core/jobs/job_manager.h"

#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/jobs/job_manager_fixture.h"
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

}  // namespace
}  // namespace attune::core
