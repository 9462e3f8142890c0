#include "client/demo/canvas.h"

#include <algorithm>
#include <cmath>

#include "client/drawing/freetype.h"

namespace attune::client {
namespace {

FT_Matrix Rotation(double degrees) {
  const double angle = degrees * M_PI / 180;
  const auto fixed = [](double value) {
    return static_cast<FT_Fixed>(std::lround(value * 65536));
  };
  return {fixed(std::cos(angle)), fixed(-std::sin(angle)),
          fixed(std::sin(angle)), fixed(std::cos(angle))};
}

// The outline of a character at the font's size; owned by the face.
FT_Outline& LoadOutline(FT_Face face, char character) {
  FT_Load_Char(face, static_cast<unsigned char>(character),
               FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP);
  return face->glyph->outline;
}

// The advance of the character loaded last, in pixels.
double Advance(FT_Face face) {
  return face->glyph->linearHoriAdvance / 65536.0;
}

}  // namespace

Canvas::Canvas(int side)
    : side_(side), pixels_(static_cast<size_t>(side) * side) {}
Canvas::~Canvas() = default;

void Canvas::Blend(const std::vector<unsigned char>& coverage,
                   const Color& color) {
  for (size_t i = 0; i < pixels_.size(); ++i) {
    for (int c = 0; c < 3; ++c) {
      pixels_[i][c] += coverage[i] / 255.0 * (color[c] - pixels_[i][c]);
    }
  }
}

void Canvas::Fill(const std::vector<Contour>& contours, const Color& color) {
  std::vector<FT_Vector> points;
  std::vector<short> ends;
  for (const Contour& contour : contours) {
    for (const Point& point : contour) {
      points.push_back({ToFreeType(point.x), ToFreeType(side_ - point.y)});
    }
    ends.push_back(static_cast<short>(points.size() - 1));
  }
  std::vector<char> tags(points.size(), FT_CURVE_TAG_ON);
  FT_Outline outline = {};
  outline.n_contours = static_cast<short>(ends.size());
  outline.n_points = static_cast<short>(points.size());
  outline.points = points.data();
  outline.tags = tags.data();
  outline.contours = ends.data();
  outline.flags = FT_OUTLINE_EVEN_ODD_FILL;
  Blend(OutlineCoverage(outline, side_, side_), color);
}

Canvas::Extent Canvas::Measure(Font& font, absl::string_view word,
                               double size) {
  Extent extent;
  const FT_Face face = FaceAtSize(font, size);
  for (char character : word) {
    FT_BBox box;
    FT_Outline_Get_CBox(&LoadOutline(face, character), &box);
    extent.width += Advance(face);
    extent.ascent = std::max(extent.ascent, box.yMax / 64.0);
    extent.descent = std::max(extent.descent, -box.yMin / 64.0);
  }
  return extent;
}

void Canvas::DrawWord(Font& font, absl::string_view word, double size,
                      Point origin, double degrees, const Color& color) {
  const FT_Face face = FaceAtSize(font, size);
  const FT_Matrix rotation = Rotation(degrees);
  double pen = 0;
  for (char character : word) {
    FT_Outline& outline = LoadOutline(face, character);
    FT_Outline_Translate(&outline, ToFreeType(pen), 0);
    FT_Outline_Transform(&outline, &rotation);
    FT_Outline_Translate(&outline, ToFreeType(origin.x),
                         ToFreeType(side_ - origin.y));
    pen += Advance(face);
    Blend(OutlineCoverage(outline, side_, side_), color);
  }
}

image::RgbImage Canvas::Image() const {
  image::RgbImage picture;
  picture.width = side_;
  picture.height = side_;
  picture.pixels.reserve(pixels_.size() * 3);
  for (const Color& pixel : pixels_) {
    for (double value : pixel) {
      picture.pixels.push_back(static_cast<unsigned char>(
          std::lround(std::clamp(value, 0.0, 255.0))));
    }
  }
  return picture;
}

}  // namespace attune::client
