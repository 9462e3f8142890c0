#include "client/demo/demo_examples.h"

#include <set>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

class DemoExamples : public testing::Test {
 protected:
  DemoExamples() : artist_(*SceneArtist::Create()) {}

  static std::string ClassOf(const v1::Example& example) {
    return example.attributes().at("class");
  }

  SceneArtist artist_;
  const std::vector<std::string> prompts_ = AllPrompts();
};

TEST_F(DemoExamples, TheSameArgumentsGiveTheSameExample) {
  // Not by serialised bytes: the order of a map's entries is not defined.
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      *PairExample(artist_, 1, 5), *PairExample(artist_, 1, 5)));
  EXPECT_NE(PairExample(artist_, 1, 5)->image(),
            PairExample(artist_, 1, 6)->image());
  EXPECT_NE(PairExample(artist_, 1, 5)->image(),
            PairExample(artist_, 2, 5)->image());
}

TEST_F(DemoExamples, PairsShowSeenClassesAndPreferTheObjectToTheWord) {
  std::set<std::string> preferred;
  std::set<std::string> rejected;
  for (int i = 0; i < 300; ++i) {
    auto example = PairExample(artist_, 1, i);
    ASSERT_TRUE(example.ok());
    EXPECT_EQ(example->pair().preferred(), "a photo of a " + ClassOf(*example));
    EXPECT_NE(example->pair().preferred(), example->pair().rejected());
    preferred.insert(example->pair().preferred());
    rejected.insert(example->pair().rejected());
  }
  const std::set<std::string> seen(prompts_.begin(),
                                   prompts_.begin() + kSeenClassCount);
  EXPECT_EQ(preferred, seen);
  EXPECT_EQ(rejected, seen);
}

TEST_F(DemoExamples, TheCleanStreamShowsAllClasses) {
  std::set<std::string> classes;
  for (int i = 0; i < 300; ++i) {
    auto example = CleanExample(artist_, 1, i);
    ASSERT_TRUE(example.ok());
    EXPECT_TRUE(example->has_clean());
    classes.insert(ClassOf(*example));
  }
  EXPECT_EQ(classes.size(), static_cast<size_t>(kClassCount));
}

TEST_F(DemoExamples, ACaptionNamesWhatItsAttributesSay) {
  int with_color = 0;
  for (int i = 0; i < 300; ++i) {
    auto example = CaptionExample(artist_, 1, i, false);
    ASSERT_TRUE(example.ok());
    const v1::Example::Caption& caption = example->caption();
    EXPECT_EQ(caption.caption_attributes().at("class"), ClassOf(*example));
    EXPECT_THAT(caption.caption(), HasSubstr(ClassOf(*example)));
    if (caption.caption_attributes().contains("color")) {
      ++with_color;
      EXPECT_THAT(caption.caption(),
                  HasSubstr(example->attributes().at("color") + " " +
                            ClassOf(*example)));
    }
    EXPECT_THAT(CaptionExample(artist_, 1, i, true)->caption().caption(),
                AnyOf("a photo of a " + ClassOf(*example)));
  }
  // 30 % of the 80 % that show an object.
  EXPECT_GT(with_color, 40);
  EXPECT_LT(with_color, 110);
}

TEST_F(DemoExamples, UnseenTestsShowNoClassOfThePairs) {
  const std::set<std::string> unseen(prompts_.begin() + kSeenClassCount,
                                     prompts_.end());
  for (int i = 0; i < 50; ++i) {
    auto example =
        TestExample(artist_, 1, i, TestSet::kUnseen, /*attacked=*/true);
    ASSERT_TRUE(example.ok());
    EXPECT_TRUE(unseen.count(example->labelled().label()));
    EXPECT_TRUE(unseen.count(example->labelled().attack()));
    EXPECT_NE(example->labelled().label(), example->labelled().attack());
    EXPECT_EQ(example->attributes().at("set"), "unseen");
    EXPECT_EQ(TestExample(artist_, 1, i, TestSet::kUnseen, false)
                  ->labelled()
                  .attack(),
              "");
  }
}

TEST_F(DemoExamples, AnUnseenFontChangesThePictureAndNotItsTexts) {
  for (int i = 0; i < 10; ++i) {
    const auto seen = TestExample(artist_, 1, i, TestSet::kSeen, true);
    const auto other = TestExample(artist_, 1, i, TestSet::kUnseenFont, true);
    EXPECT_EQ(seen->labelled().label(), other->labelled().label());
    EXPECT_EQ(seen->labelled().attack(), other->labelled().attack());
    EXPECT_NE(seen->image(), other->image());
    EXPECT_EQ(other->attributes().at("set"), "unseen-font");
  }
}

TEST_F(DemoExamples, ColorPairsPreferTheOtherOneOfRedAndBlue) {
  const std::vector<std::string> candidates = ColorPrompts();
  EXPECT_EQ(candidates.size(), static_cast<size_t>(3 * kClassCount));
  const std::set<std::string> known(candidates.begin(), candidates.end());
  EXPECT_EQ(known.size(), candidates.size());
  std::set<std::string> colors;
  for (int i = 0; i < 100; ++i) {
    const auto example = ColorPairExample(artist_, 1, i);
    ASSERT_TRUE(example.ok());
    const std::string color = example->attributes().at("color");
    const std::string other = color == "red" ? "blue" : "red";
    EXPECT_EQ(example->pair().rejected(),
              "a photo of a " + color + " " + ClassOf(*example));
    EXPECT_EQ(example->pair().preferred(),
              "a photo of a " + other + " " + ClassOf(*example));
    EXPECT_TRUE(known.count(example->pair().preferred()));
    EXPECT_TRUE(known.count(example->pair().rejected()));
    colors.insert(color);
  }
  EXPECT_EQ(colors, (std::set<std::string>{"red", "blue"}));
}

TEST_F(DemoExamples, ColorsThatMustStayAreAllOfThem) {
  std::set<std::string> colors;
  std::set<int> tested;
  for (int i = 0; i < 200; ++i) {
    const auto example = ColorCleanExample(artist_, 1, i);
    ASSERT_TRUE(example.ok());
    EXPECT_TRUE(example->has_clean());
    colors.insert(example->attributes().at("color"));
    tested.insert(MakeColorTest(artist_, 1, i, /*any_color=*/true)->color);
    EXPECT_THAT(MakeColorTest(artist_, 1, i, /*any_color=*/false)->color,
                AnyOf(kRed, kBlue));
  }
  EXPECT_EQ(colors.size(), static_cast<size_t>(kColorCount));
  EXPECT_EQ(tested.size(), static_cast<size_t>(kColorCount));
  EXPECT_EQ(std::string(ColorName(kRed)), "red");
  EXPECT_EQ(std::string(ColorName(kBlue)), "blue");
}

TEST_F(DemoExamples, AWordAloneIsLabelledWithWhatItSays) {
  std::set<std::string> labels;
  for (int i = 0; i < 200; ++i) {
    const auto example = WordExample(artist_, 1, i);
    ASSERT_TRUE(example.ok());
    EXPECT_EQ(example->labelled().label(), "a photo of a " + ClassOf(*example));
    EXPECT_FALSE(example->attributes().contains("color"));
    labels.insert(example->labelled().label());
  }
  EXPECT_EQ(labels.size(), static_cast<size_t>(kClassCount));
}

}  // namespace
}  // namespace attune::client
