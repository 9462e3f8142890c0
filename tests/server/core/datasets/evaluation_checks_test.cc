#include "server/core/datasets/evaluation_checks.h"

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
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

class EvaluationChecksTest : public JobsFixture {
 protected:
  // A labelled example of a group.
  ExampleInput Of(const std::string& image, const std::string& attribute,
                  const std::string& value) {
    ExampleInput input =
        Labelled(image, image.size() % 2 == 0 ? "a dog" : "a cat");
    input.example.attributes[attribute] = value;
    return input;
  }

  // The error of evaluating "set" by groups; checks that nothing is stored.
  absl::Status Refused(std::vector<std::string> group_by, int64_t seed = 0) {
    const std::string before = Everything();
    EvaluateRequest request;
    request.dataset = "set";
    request.model = "base";
    request.group_by = std::move(group_by);
    request.seed = seed;
    const absl::Status status = jobs_->CreateEvaluate(request, {}).status();
    EXPECT_EQ(Everything(), before);
    return status;
  }
};

TEST_F(EvaluationChecksTest, AClassListOfOneIsNamed) {
  AddBase();
  MakeSealed("set", {Labelled("a", "a dog"), Labelled("b", "a dog")});
  const absl::Status status = Refused({});
  EXPECT_THAT(status, HasError(kPrecondition, "SINGLE_CANDIDATE"));
  EXPECT_THAT(status.message(), HasSubstr("'a dog'"));
}

TEST_F(EvaluationChecksTest, AClassListOfOneToTrainAgainstIsNamedToo) {
  AddBase();
  MakePreferences();
  MakeSealed("set", {Labelled("a", "a dog")});
  TrainRequest request = DpoOnRta();
  request.eval_dataset = "set";
  EXPECT_THAT(jobs_->CreateTrain(request, {}),
              HasError(kPrecondition, "SINGLE_CANDIDATE"));
}

TEST_F(EvaluationChecksTest, AGroupOfOneIsNamedWithWhatToDo) {
  AddBase();
  MakeSealed("set", {Of("a", "gender", "man"), Of("bb", "gender", "man"),
                     Of("ccc", "gender", "woman")});
  const absl::Status status = Refused({"gender"});
  EXPECT_THAT(status, HasError(kPrecondition, "GROUP_TOO_SMALL"));
  EXPECT_THAT(status.message(), HasSubstr("group 'woman'"));
  EXPECT_THAT(status.message(), HasSubstr("add examples"));
}

TEST_F(EvaluationChecksTest, AnAttributeOfOneGroupOrOfTooManyIsNamed) {
  AddBase();
  std::vector<ExampleInput> examples;
  for (int i = 0; i < 102; ++i) {
    examples.push_back(
        Of(absl::StrCat("picture ", i), "id", absl::StrCat(i / 2)));
    examples.back().example.attributes["gender"] = "man";
  }
  MakeSealed("set", examples);
  EXPECT_THAT(Refused({"gender"}), HasError(kPrecondition, "SINGLE_GROUP"));
  EXPECT_THAT(Refused({"id"}), HasError(kPrecondition, "TOO_MANY_GROUPS"));
}

TEST_F(EvaluationChecksTest, AnAttributeThatNoExampleHasNamesTheField) {
  AddBase();
  MakeSealed("set",
             {Of("a", "gender", "man"), Of("bb", "gender", "man"),
              Of("ccc", "gender", "woman"), Of("dddd", "gender", "woman")});
  const absl::Status status = Refused({"gender", "age"});
  EXPECT_THAT(status, HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(ErrorFields(status)[0].field, "evaluate.group_by[1]");
  EvaluateRequest good;
  good.dataset = "set";
  good.model = "base";
  good.group_by = {"gender"};
  good.seed = 7;
  const auto job = jobs_->CreateEvaluate(good, {});
  ASSERT_THAT(job, IsOk());
  const auto& spec = std::get<storage::EvaluateSpec>(job->spec);
  EXPECT_EQ(spec.group_by, good.group_by);
  EXPECT_EQ(spec.seed, 7);
}

TEST_F(EvaluationChecksTest, ARepeatedAttributeAndANegativeSeedAreRefused) {
  const absl::Status twice = Refused({"gender", "gender"});
  EXPECT_THAT(twice, HasError(kInvalid, "INVALID_FIELD"));
  EXPECT_EQ(ErrorFields(twice)[0].field, "evaluate.group_by[1]");
  const absl::Status seed = Refused({}, -1);
  EXPECT_EQ(ErrorFields(seed)[0].field, "evaluate.seed");
}

}  // namespace
}  // namespace attune::core
