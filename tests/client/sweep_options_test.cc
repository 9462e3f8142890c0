#include "client/commands/sweep_options.h"

#include <algorithm>

#include "client/commands/job_options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"

namespace attune::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class SweepOptionsTest : public testing::Test {
 protected:
  SweepOptionsTest() { options_.AddTo(command_); }

  // The sweep of these arguments beside those that are required.
  absl::StatusOr<std::vector<SweepPoint>> Expand(
      std::vector<std::string> arguments) {
    arguments.insert(arguments.end(),
                     {"--dataset", "typo", "--model", "base", "--output-model",
                      "robust", "--eval-dataset", "test"});
    std::reverse(arguments.begin(), arguments.end());
    command_.parse(std::move(arguments));
    return options_.Expand();
  }

  CLI::App command_;
  SweepOptions options_;
};

TEST_F(SweepOptionsTest, EveryCombinationIsAJobWithAModelOfItsOwn) {
  const auto points = Expand(
      {"--kl-weight", "0.01,0.1,1", "--beta", "0.1,0.3", "--epochs", "5"});
  ASSERT_THAT(points, test::IsOk());
  ASSERT_EQ(points->size(), 6u);
  EXPECT_THAT((*points)[0].values,
              ElementsAre(Pair("beta", "0.1"), Pair("kl-weight", "0.01")));
  EXPECT_THAT((*points)[1].values,
              ElementsAre(Pair("beta", "0.1"), Pair("kl-weight", "0.1")));
  EXPECT_THAT((*points)[5].values,
              ElementsAre(Pair("beta", "0.3"), Pair("kl-weight", "1")));
  EXPECT_EQ((*points)[0].spec.output_model(), "robust-1");
  EXPECT_EQ((*points)[5].spec.output_model(), "robust-6");
  EXPECT_EQ((*points)[5].spec.dpo().beta(), 0.3);
  EXPECT_EQ((*points)[5].spec.dpo().kl_weight(), 1);
  EXPECT_EQ((*points)[5].spec.epochs(), 5);
  EXPECT_EQ((*points)[5].spec.eval_dataset(), "test");
}

TEST_F(SweepOptionsTest, FlagsAndTextsAreThoseOfSubmit) {
  const auto points = Expand({"--seed", "1,2", "--no-average",
                              "--freeze-logit-scale", "--optimizer", "adamw"});
  ASSERT_THAT(points, test::IsOk());
  for (const SweepPoint& point : *points) {
    EXPECT_FALSE(point.spec.average());
    EXPECT_TRUE(point.spec.has_average());
    EXPECT_TRUE(point.spec.freeze_logit_scale());
    EXPECT_EQ(point.spec.optimizer().kind(), v1::Optimizer::KIND_ADAMW);
  }
  EXPECT_EQ((*points)[1].spec.seed(), 2);
}

TEST_F(SweepOptionsTest, OptionsHaveTheHelpOfASingleJob) {
  EXPECT_THAT(command_.get_option("--average")->get_description(),
              HasSubstr("Also make the average"));
  EXPECT_EQ(command_.get_option("--no-average")->get_description(),
            "Make the last iterate alone");
}

TEST_F(SweepOptionsTest, EveryJobHasAllTheBounds) {
  const auto points =
      Expand({"--beta", "0.1,1", "--max-drop", "clean_top1=0.01", "--max-drop",
              "pair_accuracy=0.5"});
  ASSERT_THAT(points, test::IsOk());
  ASSERT_EQ(points->size(), 2u);
  for (const SweepPoint& point : *points) {
    EXPECT_EQ(point.spec.guard().max_drop().size(), 2u);
  }
}

TEST_F(SweepOptionsTest, EveryOptionOfSubmitIsThere) {
  CLI::App submit;
  JobOptions unused;
  AddJobOptions(submit, unused);
  for (const CLI::Option* option : submit.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      EXPECT_NE(command_.get_option_no_throw("--" + name), nullptr) << name;
    }
  }
}

TEST_F(SweepOptionsTest, WithoutAListNothingIsSwept) {
  const auto points = Expand({"--beta", "1"});
  EXPECT_THAT(points,
              test::HasError(absl::StatusCode::kInvalidArgument, "USAGE"));
  EXPECT_THAT(std::string(points.status().message()),
              HasSubstr("nothing is swept"));
}

TEST_F(SweepOptionsTest, AValueThatSubmitRefusesIsAUsageError) {
  EXPECT_THAT(Expand({"--beta", "1,x"}),
              test::HasError(absl::StatusCode::kInvalidArgument, "USAGE"));
}

TEST_F(SweepOptionsTest, AnOptionOfAnotherObjectiveIsAUsageError) {
  EXPECT_THAT(Expand({"--objective", "infonce", "--label-smoothing", "0,0.1"}),
              test::HasError(absl::StatusCode::kInvalidArgument, "USAGE"));
}

TEST_F(SweepOptionsTest, MoreThanAThousandJobsAreRefused) {
  std::string list = "1";
  for (int i = 2; i <= 40; ++i) list += "," + std::to_string(i);
  EXPECT_THAT(Expand({"--seed", list, "--epochs", list}),
              test::HasError(absl::StatusCode::kInvalidArgument, "USAGE"));
}

}  // namespace
}  // namespace attune::client
