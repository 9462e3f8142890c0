#include "client/drawing/text_mask.h"

#include <algorithm>
#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/drawing/test_fonts.h"

namespace attune::client {
namespace {

class TextMasks : public testing::Test {
 protected:
  static int At(const TextMask& mask, const std::vector<uint8_t>& coverage,
                int x, int y) {
    if (x < 0 || y < 0 || x >= mask.width || y >= mask.height) return 0;
    return coverage[static_cast<size_t>(y) * mask.width + x];
  }

  // The most that is covered near a pixel.
  static int Near(const TextMask& mask, const std::vector<uint8_t>& coverage,
                  int x, int y, int reach) {
    int most = 0;
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx) {
        most = std::max(most, At(mask, coverage, x + dx, y + dy));
      }
    }
    return most;
  }

  std::unique_ptr<Font> sans_ = LoadTestFont(kSans);
};

TEST_F(TextMasks, AMaskIsAsSmallAsItsInk) {
  for (const char* word : {"dog", "Ågrave", "jumping fox", "כלב", "كلب"}) {
    const TextMask mask = DrawText(*sans_, {word}, 30, 1);
    int left = 0, right = 0, top = 0, bottom = 0;
    for (int y = 0; y < mask.height; ++y) {
      left = std::max(left, At(mask, mask.outline, 0, y));
      right = std::max(right, At(mask, mask.outline, mask.width - 1, y));
    }
    for (int x = 0; x < mask.width; ++x) {
      top = std::max(top, At(mask, mask.outline, x, 0));
      bottom = std::max(bottom, At(mask, mask.outline, x, mask.height - 1));
    }
    EXPECT_GT(std::min({left, right, top, bottom}), 0) << word;
    const TextExtent extent = MeasureText(*sans_, {word}, 30, 1);
    EXPECT_EQ(extent.width, mask.width) << word;
    EXPECT_EQ(extent.height, mask.height) << word;
  }
}

TEST_F(TextMasks, TheStrokeIsAPixelAroundTheGlyphsAndNoMore) {
  const TextMask mask = DrawText(*sans_, {"dog"}, 40, 1);
  int solid = 0;
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (At(mask, mask.fill, x, y) == 255) {
        ++solid;
        for (const auto& [dx, dy] : {std::pair(1, 0), std::pair(-1, 0),
                                     std::pair(0, 1), std::pair(0, -1)}) {
          EXPECT_GE(At(mask, mask.outline, x + dx, y + dy), 250)
              << x + dx << ' ' << y + dy;
        }
      }
      if (At(mask, mask.outline, x, y) > 0) {
        EXPECT_GT(Near(mask, mask.fill, x, y, 2), 0) << x << ' ' << y;
      }
      EXPECT_GE(At(mask, mask.outline, x, y), At(mask, mask.fill, x, y));
    }
  }
  EXPECT_GT(solid, 100);
}

TEST_F(TextMasks, WithoutAStrokeTheOutlineIsTheGlyphs) {
  const TextMask mask = DrawText(*sans_, {"dog"}, 24, 0);
  EXPECT_EQ(mask.outline, mask.fill);
}

TEST_F(TextMasks, TheSameTextGivesTheSamePixelsWhateverWasDrawnBefore) {
  const TextMask first = DrawText(*sans_, {"dog"}, 24, 1);
  DrawText(*sans_, {"elephant"}, 37, 1);
  const TextMask again = DrawText(*sans_, {"dog"}, 24, 1);
  EXPECT_EQ(first.fill, again.fill);
  EXPECT_EQ(first.outline, again.outline);
  EXPECT_NE(first.fill, DrawText(*sans_, {"dog"}, 25, 1).fill);
}

TEST_F(TextMasks, HebrewIsWrittenFromTheRight) {
  // Read aloud alef, bet; the same pixels as bet, alef forced to run from the
  // left (between left-to-right override and pop).
  const TextMask mask = DrawText(*sans_, {"אב"}, 30, 1);
  const TextMask reversed = DrawText(*sans_,
                                     {"\u202D"
                                      "בא"
                                      "\u202C"},
                                     30, 1);
  const TextMask forced = DrawText(*sans_,
                                   {"\u202D"
                                    "אב"
                                    "\u202C"},
                                   30, 1);
  EXPECT_EQ(mask.fill, reversed.fill);
  EXPECT_NE(mask.fill, forced.fill);
}

TEST_F(TextMasks, ArabicLettersAreJoined) {
  // A zero-width non-joiner keeps them apart, in their isolated forms.
  const TextMask joined = DrawText(*sans_, {"بب"}, 30, 1);
  const TextMask apart = DrawText(*sans_, {"ب\u200Cب"}, 30, 1);
  EXPECT_LT(joined.width, apart.width);
}

TEST_F(TextMasks, ChineseWordsAreDrawnInAFontThatHasThem) {
  ATTUNE_SKIP_WITHOUT_CHINESE_FONT();
  const std::unique_ptr<Font> chinese = LoadTestFont(kChinese);
  EXPECT_EQ(MissingCharacters(*chinese, "熊猫"), "");
  const TextMask mask = DrawText(*chinese, {"熊猫"}, 30, 1);
  // Two squares beside each other.
  EXPECT_NEAR(mask.width, 2 * mask.height, mask.height / 3.0);
  EXPECT_GT(std::count(mask.fill.begin(), mask.fill.end(), 255), 100);
}

TEST_F(TextMasks, MissingCharactersAreNamedOnce) {
  EXPECT_EQ(MissingCharacters(*sans_, "dog"), "");
  EXPECT_EQ(MissingCharacters(*sans_, "كلب כלב собака"), "");
  EXPECT_EQ(MissingCharacters(*sans_, "a犬b猫犬"), "犬猫");
}

TEST_F(TextMasks, LinesStandBelowEachOtherCentred) {
  const TextMask one = DrawText(*sans_, {"polar bear"}, 24, 1);
  const TextMask two = DrawText(*sans_, {"i", "polar bear"}, 24, 1);
  EXPECT_EQ(two.width, one.width);
  EXPECT_GE(two.height, one.height + 20);
  // The ink of the first line.
  int left = two.width, right = 0;
  for (int y = 0; y < two.height - one.height - 1; ++y) {
    for (int x = 0; x < two.width; ++x) {
      if (At(two, two.fill, x, y) == 0) continue;
      left = std::min(left, x);
      right = std::max(right, x);
    }
  }
  EXPECT_NEAR((left + right) / 2.0, two.width / 2.0, 2);
}

TEST_F(TextMasks, ATextWithoutInkIsEmpty) {
  const TextMask mask = DrawText(*sans_, {" "}, 24, 1);
  EXPECT_EQ(mask.width, 0);
  EXPECT_EQ(mask.height, 0);
}

TEST_F(TextMasks, BlendingChangesThePixelsThatAreCoveredAndNoOthers) {
  const TextMask mask = DrawText(*sans_, {"dog"}, 20, 1);
  image::RgbImage picture = {.width = 80,
                             .height = 60,
                             .pixels = std::vector<uint8_t>(80 * 60 * 3, 90)};
  const Rgb8 fill = {255, 0, 0}, outline = {0, 0, 255};
  BlendText(mask, 7, 11, fill, outline, &picture);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      const uint8_t* p = picture.row(y) + 3 * x;
      const Rgb8 pixel = {p[0], p[1], p[2]};
      const int glyph = At(mask, mask.fill, x - 7, y - 11);
      const int grown = At(mask, mask.outline, x - 7, y - 11);
      if (grown == 0) {
        EXPECT_EQ(pixel, (Rgb8{90, 90, 90}));
      } else if (glyph == 255) {
        EXPECT_EQ(pixel, fill);
      } else if (grown == 255 && glyph == 0) {
        EXPECT_EQ(pixel, outline);
      }
    }
  }
}

TEST_F(TextMasks, WhatFallsOutsideThePictureIsLeftOut) {
  const TextMask mask = DrawText(*sans_, {"dog"}, 40, 1);
  image::RgbImage picture = {
      .width = 20, .height = 20, .pixels = std::vector<uint8_t>(20 * 20 * 3)};
  BlendText(mask, -10, -10, {255, 255, 255}, {255, 255, 255}, &picture);
  BlendText(mask, 15, 15, {255, 255, 255}, {255, 255, 255}, &picture);
  EXPECT_EQ(picture.pixels.size(), 20u * 20 * 3);
}

}  // namespace
}  // namespace attune::client
