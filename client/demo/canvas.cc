#include "client/demo/canvas.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/error.h"

namespace attune::client {
namespace {

// FreeType's coordinates have 6 fractional bits.
FT_Pos ToFreeType(double pixels) { return std::lround(pixels * 64); }

// FreeType's library object; not thread-safe, so each thread has its own.
FT_Library Library() {
  thread_local FT_Library library = [] {
    FT_Library made = nullptr;
    FT_Init_FreeType(&made);
    return made;
  }();
  return library;
}

// How much of each pixel of a side × side picture the outline covers, 0 to
// 255, row by row from the top.
std::vector<unsigned char> Coverage(FT_Outline& outline, int side) {
  std::vector<unsigned char> coverage(static_cast<size_t>(side) * side);
  FT_Bitmap bitmap = {};
  bitmap.rows = side;
  bitmap.width = side;
  bitmap.pitch = side;
  bitmap.buffer = coverage.data();
  bitmap.num_grays = 256;
  bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
  FT_Outline_Get_Bitmap(Library(), &outline, &bitmap);
  return coverage;
}

FT_Matrix Rotation(double degrees) {
  const double angle = degrees * M_PI / 180;
  const auto fixed = [](double value) {
    return static_cast<FT_Fixed>(std::lround(value * 65536));
  };
  return {fixed(std::cos(angle)), fixed(-std::sin(angle)),
          fixed(std::sin(angle)), fixed(std::cos(angle))};
}

}  // namespace

struct Font::Face {
  FT_Face face = nullptr;
  ~Face() { FT_Done_Face(face); }

  void SetSize(double size) {
    FT_Set_Char_Size(face, 0, ToFreeType(size), 72, 72);
  }
  // The unhinted outline of a character; owned by the face.
  FT_GlyphSlot Load(char character) {
    FT_Load_Char(face, static_cast<unsigned char>(character),
                 FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP);
    return face->glyph;
  }
};

Font::~Font() = default;

absl::StatusOr<std::unique_ptr<Font>> Font::Load(const std::string& path) {
  FT_Face face = nullptr;
  if (FT_New_Face(Library(), path.c_str(), 0, &face) != 0) {
    return NotFound("readable font", path);
  }
  std::unique_ptr<Font> font(new Font);
  font->face_ = std::make_unique<Face>();
  font->face_->face = face;
  return font;
}

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
  Blend(Coverage(outline, side_), color);
}

Canvas::Extent Canvas::Measure(Font& font, absl::string_view word,
                               double size) {
  Extent extent;
  font.face_->SetSize(size);
  for (char character : word) {
    const FT_GlyphSlot glyph = font.face_->Load(character);
    FT_BBox box;
    FT_Outline_Get_CBox(&glyph->outline, &box);
    extent.width += glyph->linearHoriAdvance / 65536.0;
    extent.ascent = std::max(extent.ascent, box.yMax / 64.0);
    extent.descent = std::max(extent.descent, -box.yMin / 64.0);
  }
  return extent;
}

void Canvas::DrawWord(Font& font, absl::string_view word, double size,
                      Point origin, double degrees, const Color& color) {
  font.face_->SetSize(size);
  const FT_Matrix rotation = Rotation(degrees);
  double pen = 0;
  for (char character : word) {
    const FT_GlyphSlot glyph = font.face_->Load(character);
    FT_Outline& outline = glyph->outline;
    FT_Outline_Translate(&outline, ToFreeType(pen), 0);
    FT_Outline_Transform(&outline, &rotation);
    FT_Outline_Translate(&outline, ToFreeType(origin.x),
                         ToFreeType(side_ - origin.y));
    pen += glyph->linearHoriAdvance / 65536.0;
    Blend(Coverage(outline, side_), color);
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
