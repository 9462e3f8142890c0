#ifndef ATTUNE_CLIENT_DEMO_CANVAS_H_
#define ATTUNE_CLIENT_DEMO_CANVAS_H_

#include <array>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/drawing/font.h"
#include "common/image/rgb_image.h"

namespace attune::client {

// Red, green, blue in [0, 255].
using Color = std::array<double, 3>;

// Pixels; x to the right, y down, from the top left corner.
struct Point {
  double x = 0;
  double y = 0;
};

// A closed outline; several in one shape are filled by the even-odd rule, so
// that an inner one makes a hole.
using Contour = std::vector<Point>;

// A square picture that shapes and words are drawn on, anti-aliased by
// FreeType's rasteriser.
class Canvas {
 public:
  explicit Canvas(int side);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  int side() const { return side_; }
  Color& Pixel(int x, int y) { return pixels_[y * side_ + x]; }

  void Fill(const std::vector<Contour>& contours, const Color& color);

  // Extent of a word at a size in pixels, from the baseline's start: width,
  // height above and depth below the baseline.
  struct Extent {
    double width = 0;
    double ascent = 0;
    double descent = 0;
  };
  static Extent Measure(Font& font, absl::string_view word, double size);

  // Draws a word with the start of its baseline at `origin`, turned by
  // `degrees` (counter-clockwise) about it.
  void DrawWord(Font& font, absl::string_view word, double size, Point origin,
                double degrees, const Color& color);

  // Rounded to 8 bits.
  image::RgbImage Image() const;

 private:
  void Blend(const std::vector<unsigned char>& coverage, const Color& color);

  int side_;
  std::vector<Color> pixels_;
};

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DEMO_CANVAS_H_
