#include "common/grpc/objective_codec.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ObjectiveSchemas, NameEveryMemberOfTheOneofInItsOrder) {
  std::vector<std::string> names;
  for (const ObjectiveSchema& schema : ObjectiveSchemas()) {
    names.push_back(schema.name);
  }
  EXPECT_THAT(names, ElementsAre("dpo", "ipo", "kto", "ce", "infonce"));
}

TEST(ObjectiveSchemas, EveryMessageIsAnnotatedWhole) {
  for (const ObjectiveSchema& schema : ObjectiveSchemas()) {
    SCOPED_TRACE(schema.name);
    EXPECT_FALSE(schema.title.empty());
    EXPECT_GT(schema.learning_rate, 0);
    bool has_kl_weight = false;
    for (const OptionSchema& option : schema.options) {
      SCOPED_TRACE(option.name);
      has_kl_weight |= option.name == kKlWeight;
      EXPECT_FALSE(option.help.empty());
      // Without a bound any number would pass.
      EXPECT_TRUE(option.above || option.at_least || option.below);
      EXPECT_TRUE(!option.above || option.default_value > *option.above);
      EXPECT_TRUE(!option.at_least || option.default_value >= *option.at_least);
      EXPECT_TRUE(!option.below || option.default_value < *option.below);
    }
    EXPECT_TRUE(has_kl_weight);
  }
}

TEST(FindObjective, UnknownNameIsNull) {
  EXPECT_EQ(FindObjective("ppo"), nullptr);
  // A field of TrainSpec that is no objective.
  EXPECT_EQ(FindObjective("optimizer"), nullptr);
  ASSERT_NE(FindObjective("kto"), nullptr);
  EXPECT_TRUE(FindObjective("kto")->needs_clean_examples);
}

TEST(ReadObjective, GivesWhatIsSetAndZeroIsSet) {
  v1::TrainSpec spec;
  EXPECT_EQ(ObjectiveOf(spec), nullptr);
  EXPECT_TRUE(ReadObjective(spec).empty());
  spec.mutable_kto()->set_kl_weight(0);
  spec.mutable_kto()->set_beta(2);
  EXPECT_EQ(ObjectiveOf(spec)->name, "kto");
  EXPECT_THAT(ReadObjective(spec),
              ElementsAre(Pair("beta", 2), Pair("kl_weight", 0)));
}

TEST(WriteObjective, GivesWhatReadObjectiveReads) {
  for (const ObjectiveSchema& schema : ObjectiveSchemas()) {
    ObjectiveValues values;
    for (const OptionSchema& option : schema.options) {
      values[option.name] = option.default_value + 0.125;
    }
    v1::TrainSpec spec;
    WriteObjective(schema.name, values, &spec);
    ASSERT_NE(ObjectiveOf(spec), nullptr);
    EXPECT_EQ(ObjectiveOf(spec)->name, schema.name);
    EXPECT_EQ(ReadObjective(spec), values);
  }
}

TEST(WriteObjective, SetsAnObjectiveWithoutOptions) {
  v1::TrainSpec spec;
  WriteObjective("ipo", {}, &spec);
  EXPECT_TRUE(spec.has_ipo());
}

TEST(WriteObjective, LeavesOutWhatThisBuildDoesNotKnow) {
  v1::TrainSpec spec;
  WriteObjective("ppo", {{"beta", 1}}, &spec);
  EXPECT_EQ(spec.objective_case(), v1::TrainSpec::OBJECTIVE_NOT_SET);
  WriteObjective("dpo", {{"beta", 1}, {"gamma", 2}}, &spec);
  EXPECT_THAT(ReadObjective(spec), ElementsAre(Pair("beta", 1)));
}

}  // namespace
}  // namespace attune
