#include "client/attack/attack_painter.h"

#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/attack/test_pictures.h"
#include "tests/client/drawing/test_fonts.h"
#include "tests/test_util/status_matchers.h"

namespace attune::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kSide = 224;

AttackPainter::Options OptionsFor(std::vector<std::string> words,
                                  std::vector<const char*> fonts = {
                                      kSans, kSerifBold}) {
  AttackPainter::Options options;
  options.words = std::move(words);
  for (const char* path : fonts) options.fonts.push_back(LoadTestFont(path));
  options.side = kSide;
  return options;
}

AttackPainter MakePainter(AttackPainter::Options options) {
  auto painter = AttackPainter::Create(std::move(options));
  EXPECT_THAT(painter, test::IsOk());
  return *std::move(painter);
}

TEST(BreakIntoLines, BreaksAfterTheFirstWordAndLongNamesAfterTheSecond) {
  EXPECT_THAT(BreakIntoLines("dog"), ElementsAre("dog"));
  EXPECT_THAT(BreakIntoLines("polar bear"), ElementsAre("polar", "bear"));
  EXPECT_THAT(BreakIntoLines("great white shark"),
              ElementsAre("great", "white shark"));
  EXPECT_THAT(BreakIntoLines("black and gold garden spider"),
              ElementsAre("black and", "gold garden spider"));
  EXPECT_THAT(BreakIntoLines(" polar  bear "), ElementsAre("polar", "bear"));
  EXPECT_THAT(BreakIntoLines("熊猫"), ElementsAre("熊猫"));
}

TEST(AttackPainter, TheSameSeedGivesTheSameAttack) {
  AttackPainter painter = MakePainter(OptionsFor({"dog", "cat", "polar bear"}));
  image::RgbImage first = GreyPicture(kSide, kSide);
  image::RgbImage other = first, again = first;
  const Attack attack = painter.Paint("dog", 7, &first);
  painter.Paint("dog", 8, &other);
  const Attack repeated = painter.Paint("dog", 7, &again);
  EXPECT_EQ(first.pixels, again.pixels);
  EXPECT_NE(first.pixels, other.pixels);
  EXPECT_EQ(attack.word, repeated.word);
  EXPECT_EQ(attack.size, repeated.size);
}

TEST(AttackPainter, OnlyPixelsInTheReportedBoxChange) {
  AttackPainter painter = MakePainter(
      OptionsFor({"dog", "polar bear", "great white shark", "כלב", "قطة"}));
  const image::RgbImage clean = GreyPicture(kSide, kSide);
  for (uint64_t seed = 0; seed < 60; ++seed) {
    image::RgbImage picture = clean;
    const Attack attack = painter.Paint("dog", seed, &picture);
    EXPECT_GE(attack.left, 0);
    EXPECT_GE(attack.top, 0);
    EXPECT_LE(attack.left + attack.width, kSide);
    EXPECT_LE(attack.top + attack.height, kSide);
    int inside = 0, outside = 0, filled = 0;
    bool first_row = false, last_row = false;
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const uint8_t* p = picture.row(y) + 3 * x;
        const Rgb8 pixel = {p[0], p[1], p[2]};
        if (pixel == Rgb8{120, 120, 120}) continue;
        const bool within = x >= attack.left && y >= attack.top &&
                            x < attack.left + attack.width &&
                            y < attack.top + attack.height;
        within ? ++inside : ++outside;
        filled += pixel == attack.fill;
        first_row |= y == attack.top;
        last_row |= y == attack.top + attack.height - 1;
      }
    }
    EXPECT_EQ(outside, 0) << attack.word;
    EXPECT_GT(inside, 100) << attack.word;
    EXPECT_GT(filled, 20) << attack.word;
    // The box is no larger than what was drawn.
    EXPECT_TRUE(first_row && last_row) << attack.word;
  }
}

TEST(AttackPainter, AnotherClassIsWrittenEachAsOften) {
  AttackPainter painter = MakePainter(OptionsFor({"dog", "cat", "fox", "Dog"}));
  std::map<std::string, int> words;
  std::set<const Font*> fonts;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    image::RgbImage picture = GreyPicture(kSide, kSide);
    const Attack attack = painter.Paint("dog", seed, &picture);
    ++words[attack.word];
    fonts.insert(attack.font);
    EXPECT_FALSE(attack.fill == attack.outline);
    EXPECT_GE(attack.size, 20);
    EXPECT_LE(attack.size, 40);
  }
  EXPECT_EQ(words.size(), 2u);
  // Five standard deviations of 400 draws.
  EXPECT_NEAR(words["cat"], 200, 50);
  EXPECT_EQ(fonts.size(), 2u);
}

TEST(AttackPainter, AWideWordIsWrittenSmallerUntilItFits) {
  AttackPainter painter =
      MakePainter(OptionsFor({"dog", "counterrevolutionaries"}));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    image::RgbImage picture = GreyPicture(kSide, kSide);
    const Attack attack = painter.Paint("dog", seed, &picture);
    EXPECT_LT(attack.size, 20);
    EXPECT_GE(attack.size, 8);
    EXPECT_GT(attack.width, kSide * 9 / 10);
    EXPECT_LE(attack.width, kSide);
  }
}

TEST(AttackPainter, SizesAreInProportionToThePicture) {
  AttackPainter::Options options = OptionsFor({"dog", "cat"});
  options.side = 112;
  AttackPainter painter = MakePainter(std::move(options));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    image::RgbImage picture = GreyPicture(112, 112);
    const Attack attack = painter.Paint("dog", seed, &picture);
    EXPECT_GE(attack.size, 10);
    EXPECT_LE(attack.size, 20);
  }
}

TEST(AttackPainter, AWordIsWrittenOnlyInFontsThatHaveIt) {
  ATTUNE_SKIP_WITHOUT_CHINESE_FONT();
  AttackPainter painter =
      MakePainter(OptionsFor({"dog", "熊猫"}, {kSans, kChinese}));
  EXPECT_EQ(painter.font_count(), 2);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    image::RgbImage picture = GreyPicture(kSide, kSide);
    EXPECT_EQ(painter.Paint("dog", seed, &picture).font->path(), kChinese);
  }
  EXPECT_EQ(painter.FontFor("熊猫")->path(), kChinese);
  EXPECT_EQ(painter.FontFor("熊猫 and dog"), nullptr);
}

TEST(AttackPainter, WordsWithoutGlyphsAreNamedWithWhatIsMissing) {
  auto painter = AttackPainter::Create(OptionsFor({"dog", "犬a", "猫"}));
  ASSERT_THAT(painter, test::HasError(absl::StatusCode::kInvalidArgument,
                                      "FONT_LACKS_GLYPHS"));
  const auto fields = ErrorFields(painter.status());
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].field, "犬a");
  EXPECT_THAT(fields[0].description, HasSubstr("no font has glyphs for 犬:"));
  EXPECT_EQ(fields[1].field, "猫");
}

TEST(AttackPainter, ANamedFontThatCanWriteNothingIsAnError) {
  ATTUNE_SKIP_WITHOUT_CHINESE_FONT();
  AttackPainter::Options options =
      OptionsFor({"dog", "cat"}, {kSans, kChinese});
  options.fonts_are_named = true;
  auto painter = AttackPainter::Create(std::move(options));
  ASSERT_THAT(painter, test::HasError(absl::StatusCode::kInvalidArgument,
                                      "FONT_LACKS_GLYPHS"));
  EXPECT_EQ(ErrorFields(painter.status())[0].field, kChinese);

  // One of the system's is only not used.
  EXPECT_EQ(
      MakePainter(OptionsFor({"dog", "cat"}, {kSans, kChinese})).font_count(),
      1);
}

TEST(AttackPainter, AWordThatFitsAtNoReadableSizeIsNamed) {
  auto painter =
      AttackPainter::Create(OptionsFor({"dog", std::string(80, 'w')}));
  ASSERT_THAT(painter, test::HasError(absl::StatusCode::kInvalidArgument,
                                      "WORD_DOES_NOT_FIT"));
  const auto fields = ErrorFields(painter.status());
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields[0].field, std::string(80, 'w'));
  EXPECT_THAT(fields[0].description, HasSubstr("224 pixels"));
}

}  // namespace
}  // namespace attune::client
