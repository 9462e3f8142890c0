// Shaped text as pixels: HarfBuzz's shaping and bidirectional order through
// libraqm, outlines through FreeType.

#ifndef ATTUNE_CLIENT_DRAWING_TEXT_MASK_H_
#define ATTUNE_CLIENT_DRAWING_TEXT_MASK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/drawing/font.h"
#include "common/image/rgb_image.h"

namespace attune::client {

// How much of each pixel a text covers, 0 to 255, rows from the top; as small
// as what is drawn allows.
struct TextMask {
  int width = 0;
  int height = 0;
  // The glyphs.
  std::vector<uint8_t> fill;
  // The glyphs grown by the stroke.
  std::vector<uint8_t> outline;
};

struct TextExtent {
  int width = 0;
  int height = 0;
};

// The characters of `text`, each once, that the font has no glyph for; "" when
// it can write all of it.
std::string MissingCharacters(Font& font, absl::string_view text);

// Draws lines one below the other, centred on each other, each in its own
// direction. `size` and `stroke`, the width of a line around the glyphs, are
// in pixels. The same arguments give the same pixels with the same versions of
// the libraries. A text without ink gives an empty mask.
// REQUIRES: valid UTF-8; size > 0; stroke >= 0.
TextMask DrawText(Font& font, const std::vector<std::string>& lines,
                  double size, double stroke);

// The width and height of DrawText's mask.
TextExtent MeasureText(Font& font, const std::vector<std::string>& lines,
                       double size, double stroke);

// Red, green, blue.
struct Rgb8 {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;

  friend bool operator==(const Rgb8&, const Rgb8&) = default;
};

// Draws the mask with its upper left corner at (x, y). What falls outside the
// picture is left out; pixels that the mask does not cover stay as they are.
void BlendText(const TextMask& mask, int x, int y, Rgb8 fill, Rgb8 outline,
               image::RgbImage* picture);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DRAWING_TEXT_MASK_H_
