// Creating evaluation jobs.

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/jobs/job_manager_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

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

}  // namespace
}  // namespace attune::core
