#include "client/attack/contact_sheet.h"

#include "gtest/gtest.h"
#include "tests/client/attack/test_pictures.h"
#include "tests/client/drawing/test_fonts.h"

namespace attune::client {
namespace {

// How many pixels of a part of the sheet are darker than `limit`; a tile's grey
// is 120.
int CountInk(const image::RgbImage& sheet, int left, int top, int width,
             int height, int limit = 100) {
  int count = 0;
  for (int y = top; y < top + height; ++y) {
    for (int x = left; x < left + width; ++x) {
      count += sheet.row(y)[3 * x] < limit;
    }
  }
  return count;
}

TEST(ContactSheet, TilesStandInRowsOfEightWithTheirCaptions) {
  const std::unique_ptr<Font> font = LoadTestFont(kSans);
  std::vector<SheetTile> tiles;
  for (int i = 0; i < 9; ++i) tiles.push_back({GreyPicture(64, 64), "dog"});
  tiles[8].caption = "a caption that is wider than its tile, by far";
  const image::RgbImage sheet =
      MakeContactSheet(tiles, [&](absl::string_view) { return font.get(); });
  EXPECT_EQ(sheet.width, 8 * (64 + 12) + 12);
  EXPECT_EQ(sheet.height, 2 * (64 + 24 + 12) + 12);
  // The ninth tile begins the second row; nothing stands beside it.
  EXPECT_EQ(sheet.row(112)[3 * 12], 120);
  EXPECT_EQ(sheet.row(112)[3 * 90], 255);
  EXPECT_GT(CountInk(sheet, 12, 12 + 64, 64, 24), 20);
  EXPECT_GT(CountInk(sheet, 12, 112 + 64, 64, 24, 240), 20);
  // Not beyond the tile's sides.
  EXPECT_EQ(CountInk(sheet, 0, 112 + 64, 12, 24, 240), 0);
  EXPECT_EQ(CountInk(sheet, 12 + 64, 112 + 64, 100, 24, 240), 0);
}

TEST(ContactSheet, ACaptionThatNoFontCanWriteIsLeftOut) {
  const image::RgbImage sheet =
      MakeContactSheet({{GreyPicture(64, 64), "熊猫"}},
                       [](absl::string_view) -> Font* { return nullptr; });
  EXPECT_EQ(CountInk(sheet, 0, 0, sheet.width, sheet.height), 0);
}

}  // namespace
}  // namespace attune::client
