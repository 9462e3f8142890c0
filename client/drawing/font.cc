#include "client/drawing/font.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/drawing/freetype.h"
#include "common/error.h"

namespace attune::client {

FT_Library FreeTypeLibrary() {
  thread_local FT_Library library = [] {
    FT_Library made = nullptr;
    FT_Init_FreeType(&made);
    return made;
  }();
  return library;
}

FT_Pos ToFreeType(double pixels) { return std::lround(pixels * 64); }

FT_Face FaceAtSize(Font& font, double size) {
  FT_Set_Char_Size(font.face(), 0, ToFreeType(size), 72, 72);
  return font.face();
}

std::vector<unsigned char> OutlineCoverage(FT_Outline& outline, int width,
                                           int height) {
  std::vector<unsigned char> coverage(static_cast<size_t>(width) * height);
  FT_Bitmap bitmap = {};
  bitmap.rows = height;
  bitmap.width = width;
  bitmap.pitch = width;
  bitmap.buffer = coverage.data();
  bitmap.num_grays = 256;
  bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
  FT_Outline_Get_Bitmap(FreeTypeLibrary(), &outline, &bitmap);
  return coverage;
}

Font::Font(std::string path, FT_FaceRec_* face)
    : path_(std::move(path)), face_(face) {
  if (face->family_name != nullptr) name_ = face->family_name;
  if (face->style_name != nullptr) {
    absl::StrAppend(&name_, " ", face->style_name);
  }
}

Font::~Font() { FT_Done_Face(face_); }

absl::StatusOr<std::unique_ptr<Font>> Font::Load(const std::string& path,
                                                 int index) {
  FT_Face face = nullptr;
  if (FT_New_Face(FreeTypeLibrary(), path.c_str(), index, &face) != 0) {
    return NotFound("readable font", path);
  }
  std::unique_ptr<Font> font(new Font(path, face));
  if (!FT_IS_SCALABLE(face)) {
    return Error(absl::StatusCode::kInvalidArgument, "FONT_NOT_SCALABLE",
                 absl::StrCat(path,
                              " is a font of bitmaps: give one of outlines "
                              "(.ttf, .otf)"));
  }
  return font;
}

}  // namespace attune::client
