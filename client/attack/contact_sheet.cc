#include "client/attack/contact_sheet.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "client/drawing/text_mask.h"

namespace attune::client {
namespace {

constexpr int kMaxColumns = 8;
constexpr int kGap = 12;            // pixels between tiles
constexpr int kCaptionHeight = 24;  // pixels
constexpr double kCaptionSize = 15;
constexpr double kSmallestCaption = 2;
constexpr uint8_t kWhite = 255;
constexpr Rgb8 kInk = {40, 40, 40};

void Copy(const image::RgbImage& from, int x, int y, image::RgbImage* to) {
  for (int row = 0; row < from.height; ++row) {
    std::copy_n(from.row(row), 3 * from.width, to->row(y + row) + 3 * x);
  }
}

// Centred in the caption's place below the tile at (x, y).
void Caption(const std::string& text, Font& font, int x, int y, int width,
             image::RgbImage* sheet) {
  double size = kCaptionSize;
  while (size > kSmallestCaption &&
         MeasureText(font, {text}, size, 0).width > width) {
    --size;
  }
  const TextMask mask = DrawText(font, {text}, size, 0);
  BlendText(mask, x + (width - mask.width) / 2,
            y + (kCaptionHeight - mask.height) / 2, kInk, kInk, sheet);
}

}  // namespace

image::RgbImage MakeContactSheet(
    const std::vector<SheetTile>& tiles,
    const std::function<Font*(absl::string_view)>& font_for) {
  const int width = tiles.front().picture.width;
  const int height = tiles.front().picture.height;
  const int count = static_cast<int>(tiles.size());
  const int columns = std::min(count, kMaxColumns);
  const int rows = (count + columns - 1) / columns;
  image::RgbImage sheet = {
      .width = columns * (width + kGap) + kGap,
      .height = rows * (height + kCaptionHeight + kGap) + kGap,
      .pixels = {}};
  sheet.pixels.assign(static_cast<size_t>(sheet.width) * sheet.height * 3,
                      kWhite);
  for (int i = 0; i < count; ++i) {
    const int x = kGap + (i % columns) * (width + kGap);
    const int y = kGap + (i / columns) * (height + kCaptionHeight + kGap);
    Copy(tiles[i].picture, x, y, &sheet);
    if (Font* const font = font_for(tiles[i].caption)) {
      Caption(tiles[i].caption, *font, x, y + height, width, &sheet);
    }
  }
  return sheet;
}

}  // namespace attune::client
