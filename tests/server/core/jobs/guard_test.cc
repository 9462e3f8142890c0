// A guarded job from its submission to the alias of its versions.

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/models/model_registry.h"
#include "tests/server/core/jobs_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

class GuardTest : public JobsFixture {
 protected:
  GuardTest() {
    AddBase();
    MakePreferences();
    MakeSealed("held-out", {Labelled("1", "a dog"), Labelled("2", "a cat"),
                            Labelled("3", "a dog", "a cat")});
    request_.eval_dataset = "held-out";
    request_.guard.emplace().max_drop = {{"clean_top1", 0.01}};
  }

  // The only field that is refused.
  std::string RefusedField(const TrainRequest& request) {
    const std::string before = Everything();
    const absl::Status status = jobs_->CreateTrain(request, {}).status();
    EXPECT_EQ(Everything(), before);
    EXPECT_EQ(status.code(), kInvalid) << status;
    const std::vector<FieldViolation> fields = ErrorFields(status);
    EXPECT_EQ(fields.size(), 1) << status;
    return fields.empty() ? "" : fields[0].field;
  }

  // Completes the job: the average keeps clean_top1, the last iterate loses it.
  std::string Completed() {
    const auto job = jobs_->CreateTrain(request_, {});
    EXPECT_THAT(job, IsOk());
    AddWorker();
    const LeasedTask task = Lease();
    TrainResult result = {
        .outputs = {{storage::VersionSource::kAverage, StoreTensors(2)},
                    {storage::VersionSource::kLastIterate, StoreTensors(3)}},
        .evaluations = {{{{"clean_top1", 0.9, 10}}, {{"clean_top1", 0.9, 10}}},
                        {{{"clean_top1", 0.7, 10}}, {{"clean_top1", 0.9, 10}}}},
        .steps_done = 4,
        .note = "Ended early after step 4 of 9"};
    // A table by class is no bound's business.
    storage::Figure part = {"clean_top1", 0, 5};
    part.class_label = "a dog";
    result.evaluations[0].figures.push_back(part);
    EXPECT_THAT(reports_->AddMetrics(task.lease_token, {}, 9), IsOk());
    EXPECT_THAT(reports_->Complete(task.lease_token, result), IsOk());
    return job->id;
  }

  TrainRequest request_ = DpoOnRta();
  ModelRegistry registry_{*state_, *blobs_, clock_, nullptr};
};

TEST_F(GuardTest, TheFieldThatIsWrongIsNamed) {
  TrainRequest request = request_;
  request.eval_dataset = "";
  EXPECT_EQ(RefusedField(request), "train.guard");
  request = request_;
  request.guard->max_drop.clear();
  EXPECT_EQ(RefusedField(request), "train.guard.max_drop");
  request.guard->max_drop = {{"attack_success", 0.1}};
  EXPECT_EQ(RefusedField(request), "train.guard.max_drop[attack_success]");
  for (const double drop : {-0.1, 1.5, std::nan("")}) {
    request.guard->max_drop = {{"clean_top1", drop}};
    EXPECT_EQ(RefusedField(request), "train.guard.max_drop[clean_top1]");
  }
  request = request_;
  request.guard->eval_every = 0;
  EXPECT_EQ(RefusedField(request), "train.guard.eval_every");
  request = request_;
  request.guard->patience = -1;
  EXPECT_EQ(RefusedField(request), "train.guard.patience");
  request = request_;
  request.guard->best_by = "skew_gap";
  EXPECT_EQ(RefusedField(request), "train.guard.best_by");
}

TEST_F(GuardTest, AFigureThatTheDatasetHasNoRowsForIsNamed) {
  const std::string before = Everything();
  request_.guard->max_drop = {{"pair_accuracy", 0.1}};
  absl::Status status = jobs_->CreateTrain(request_, {}).status();
  EXPECT_THAT(status, HasError(kPrecondition, "FIGURE_WITHOUT_ROWS"));
  EXPECT_EQ(ErrorFields(status)[0].field,
            "train.guard.max_drop[pair_accuracy]");
  EXPECT_THAT(status.message(), HasSubstr("clean_top1"));
  request_.guard->max_drop = {{"clean_top1", 0.1}};
  request_.guard->best_by = "recall_at_1_text";
  status = jobs_->CreateTrain(request_, {}).status();
  EXPECT_EQ(ErrorFields(status)[0].field, "train.guard.best_by");
  EXPECT_EQ(Everything(), before);
}

TEST_F(GuardTest, TheFigureToBeGoodAtIsTheFirstThatTheDatasetHas) {
  const auto best_by = [&](const std::string& dataset,
                           const std::string& bound) {
    request_.eval_dataset = dataset;
    request_.guard->max_drop = {{bound, 0.1}};
    const auto job = jobs_->CreateTrain(request_, {});
    EXPECT_THAT(job, IsOk());
    return std::get<storage::TrainSpec>(job->spec).guard->best_by;
  };
  MakeSealed("clean", {Labelled("1", "a dog"), Labelled("2", "a cat")});
  MakeSealed("captions", {Caption("1", "a dog"), Caption("2", "a cat")});
  EXPECT_EQ(best_by("held-out", "clean_top1"), "attacked_top1");
  EXPECT_EQ(best_by("rta", "pair_accuracy"), "pair_accuracy");
  EXPECT_EQ(best_by("captions", "recall_at_5_text"), "recall_at_1_image");
  EXPECT_EQ(best_by("clean", "clean_top5"), "clean_top1");
}

TEST_F(GuardTest, VersionsKnowWhichBoundsTheyBreak) {
  Completed();
  const auto average = registry_.GetVersion("robust:1");
  const auto last = registry_.GetVersion("robust:2");
  ASSERT_THAT(average, IsOk());
  EXPECT_THAT(average->version.broken_bounds.value(), IsEmpty());
  EXPECT_THAT(last->version.broken_bounds.value(),
              ElementsAre("clean_top1 fell from 0.9000 to 0.7000, by more than "
                          "0.0100"));
  EXPECT_EQ(registry_.GetVersion("base")->version.broken_bounds, std::nullopt);
}

TEST_F(GuardTest, TheJobSaysHowItEnded) {
  const storage::Job job = *jobs_->Get(Completed());
  EXPECT_EQ(job.status_message, "Ended early after step 4 of 9");
  EXPECT_EQ(job.step, 4);
  EXPECT_THAT(Events(job.id),
              Contains("Succeeded, made robust:1, robust:2. Ended early after "
                       "step 4 of 9"));
}

TEST_F(GuardTest, AnAliasOfAVersionThatBreaksABoundMustBeForced) {
  Completed();
  EXPECT_THAT(registry_.SetAlias("robust", "stable", 1, false, {}), IsOk());
  const std::string before = Everything();
  const absl::Status refused =
      registry_.SetAlias("robust", "stable", 2, false, {}).status();
  EXPECT_THAT(refused, HasError(kPrecondition, "BOUND_BROKEN"));
  EXPECT_THAT(refused.message(), HasSubstr("clean_top1 fell from 0.9000"));
  EXPECT_THAT(refused.message(), HasSubstr("--force"));
  EXPECT_EQ(Everything(), before);
  EXPECT_THAT(registry_.SetAlias("robust", "stable", 2, true, {}), IsOk());
  EXPECT_EQ(registry_.GetVersion("robust@stable")->version.number, 2);
  EXPECT_THAT(registry_.SetAlias("robust", "stable", 0, false, {}), IsOk());
}

TEST_F(GuardTest, AGuardedResultNeedsAnEvaluationOfEveryOutput) {
  ASSERT_THAT(jobs_->CreateTrain(request_, {}), IsOk());
  AddWorker();
  const LeasedTask task = Lease();
  TrainResult result = {
      .outputs = {{storage::VersionSource::kAverage, StoreTensors(2)},
                  {storage::VersionSource::kLastIterate, StoreTensors(3)}},
      .evaluations = {{{{"clean_top1", 1, 1}}, {{"clean_top1", 1, 1}}}}};
  const std::string before = Everything();
  EXPECT_THAT(reports_->Complete(task.lease_token, result),
              HasError(kInvalid, "INVALID_RESULT"));
  EXPECT_EQ(Everything(), before);
}

TEST_F(GuardTest, NotesBecomeEventsOnceAnAttempt) {
  const auto job = jobs_->CreateTrain(request_, {});
  ASSERT_THAT(job, IsOk());
  AddWorker();
  const LeasedTask task = Lease();
  const auto count = [&](const std::string& note) {
    const std::vector<std::string> events = Events(job->id);
    return std::count(events.begin(), events.end(), note);
  };
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(reports_->AddMetrics(task.lease_token, {}, 9,
                                     {"Step 1: better", "Step 2: worse"}),
                IsOk());
  }
  EXPECT_EQ(count("Step 1: better"), 1);
  EXPECT_EQ(count("Step 2: worse"), 1);
  const std::string before = Everything();
  const absl::Status blank =
      reports_->AddMetrics(task.lease_token, {}, 9, {"good", " "});
  EXPECT_EQ(blank.code(), kInvalid);
  EXPECT_EQ(ErrorFields(blank)[0].field, "notes[1]");
  EXPECT_THAT(reports_->AddMetrics(task.lease_token, {}, 9,
                                   std::vector<std::string>(101, "x")),
              HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(Everything(), before);
}

}  // namespace
}  // namespace attune::core
