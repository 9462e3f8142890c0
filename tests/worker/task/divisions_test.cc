#include "worker/task/divisions.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::task {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::Example With(const std::string& attribute, const std::string& value) {
  v1::Example example;
  (*example.mutable_attributes())[attribute] = value;
  return example;
}

TEST(DivisionsTest, AttributesWithGroupsOfTwoOrMoreAreTaken) {
  std::vector<v1::Example> examples;
  for (int i = 0; i < 4; ++i) {
    v1::Example example = With("gender", i < 2 ? "man" : "woman");
    (*example.mutable_attributes())["source"] = "camera";  // one group
    (*example.mutable_attributes())["age"] = i < 3 ? "old" : "young";
    (*example.mutable_attributes())["file"] = std::to_string(i);
    examples.push_back(example);
  }
  EXPECT_THAT(GroupAttributes(examples, {}), ElementsAre("gender"));
  EXPECT_THAT(GroupAttributes(examples, {"age"}), ElementsAre("age"));
}

TEST(DivisionsTest, MoreThanFiftyValuesMakeNoGroups) {
  std::vector<v1::Example> examples;
  for (int i = 0; i < 102; ++i) {
    examples.push_back(With("subject", std::to_string(i / 2)));
  }
  EXPECT_THAT(GroupAttributes(examples, {}), IsEmpty());
  examples.resize(100);
  EXPECT_THAT(GroupAttributes(examples, {}), ElementsAre("subject"));
}

TEST(DivisionsTest, RowsAreDividedByLabelOrPreferredTextAndByAttribute) {
  v1::Example labelled = With("gender", "woman");
  labelled.mutable_labelled()->set_label("a dog");
  v1::Example pair = With("gender", "man");
  pair.mutable_pair()->set_preferred("a cat");
  pair.mutable_pair()->set_rejected("a dog");
  v1::Example clean;
  clean.mutable_clean();
  const std::vector<evaluate::Division> divisions =
      MakeDivisions({&labelled, &pair, &clean}, {"gender"});
  ASSERT_THAT(divisions, SizeIs(2));
  EXPECT_EQ(divisions[0].attribute, "");
  EXPECT_THAT(divisions[0].names, ElementsAre("a cat", "a dog"));
  EXPECT_THAT(divisions[0].part_of_row, ElementsAre(1, 0, -1));
  EXPECT_EQ(divisions[1].attribute, "gender");
  EXPECT_THAT(divisions[1].names, ElementsAre("man", "woman"));
  EXPECT_THAT(divisions[1].part_of_row, ElementsAre(1, 0, -1));
}

TEST(DivisionsTest, OneClassIsNoDivision) {
  v1::Example labelled;
  labelled.mutable_labelled()->set_label("a dog");
  EXPECT_THAT(MakeDivisions({&labelled, &labelled}, {}), IsEmpty());
}

}  // namespace
}  // namespace attune::task
