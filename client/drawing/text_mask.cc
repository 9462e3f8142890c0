#include "client/drawing/text_mask.h"

#include <raqm.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/match.h"
#include "client/drawing/freetype.h"
#include FT_BBOX_H
#include FT_GLYPH_H
#include FT_STROKER_H

namespace attune::client {
namespace {

constexpr FT_Int32 kLoadFlags = FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP;

struct FreeGlyph {
  void operator()(FT_Glyph glyph) const { FT_Done_Glyph(glyph); }
};
using Glyph = std::unique_ptr<FT_GlyphRec_, FreeGlyph>;

struct FreeLayout {
  void operator()(raqm_t* layout) const { raqm_destroy(layout); }
};
using Layout = std::unique_ptr<raqm_t, FreeLayout>;

FT_Outline& OutlineOf(const Glyph& glyph) {
  return reinterpret_cast<FT_OutlineGlyph>(glyph.get())->outline;
}

// The line's glyphs from left to right, at the face's size. The pointer stays
// good as long as `*layout`.
const raqm_glyph_t* LayOut(FT_Face face, absl::string_view line, Layout* layout,
                           size_t* count) {
  *count = 0;
  layout->reset(raqm_create());
  raqm_t* const raqm = layout->get();
  if (raqm == nullptr || line.empty() ||
      !raqm_set_text_utf8(raqm, line.data(), line.size()) ||
      !raqm_set_par_direction(raqm, RAQM_DIRECTION_DEFAULT) ||
      !raqm_set_freetype_face(raqm, face) ||
      !raqm_set_freetype_load_flags(raqm, kLoadFlags) || !raqm_layout(raqm)) {
    return nullptr;
  }
  return raqm_get_glyphs(raqm, count);
}

// Outlines in place: lines below each other, the first baseline at y = 0, y
// up, the lines centred at x = 0.
struct Outlines {
  std::vector<Glyph> glyphs;
  std::vector<Glyph> strokes;
};

// The glyph of `index`, moved; null for one without an outline.
Glyph LoadGlyph(FT_Face face, unsigned index, FT_Pos x, FT_Pos y) {
  FT_Glyph loaded = nullptr;
  if (FT_Load_Glyph(face, index, kLoadFlags) != 0 ||
      FT_Get_Glyph(face->glyph, &loaded) != 0) {
    return nullptr;
  }
  Glyph glyph(loaded);
  if (glyph->format != FT_GLYPH_FORMAT_OUTLINE ||
      OutlineOf(glyph).n_points == 0) {
    return nullptr;
  }
  FT_Outline_Translate(&OutlineOf(glyph), x, y);
  return glyph;
}

Outlines LayOutLines(Font& font, const std::vector<std::string>& lines,
                     double size, double stroke) {
  const FT_Face face = FaceAtSize(font, size);
  FT_Stroker stroker = nullptr;
  FT_Stroker_New(FreeTypeLibrary(), &stroker);
  FT_Stroker_Set(stroker, ToFreeType(stroke), FT_STROKER_LINECAP_ROUND,
                 FT_STROKER_LINEJOIN_ROUND, 0);
  Outlines outlines;
  FT_Pos baseline = 0;
  for (const std::string& line : lines) {
    Layout layout;
    size_t count = 0;
    const raqm_glyph_t* glyphs = LayOut(face, line, &layout, &count);
    FT_Pos width = 0;
    for (size_t i = 0; i < count; ++i) width += glyphs[i].x_advance;
    FT_Pos pen = -width / 2;
    for (size_t i = 0; i < count; ++i) {
      const raqm_glyph_t& placed = glyphs[i];
      Glyph glyph = LoadGlyph(face, placed.index, pen + placed.x_offset,
                              baseline + placed.y_offset);
      pen += placed.x_advance;
      if (glyph == nullptr) continue;
      FT_Glyph grown = glyph.get();
      // Makes a new glyph and leaves the old one, which is not destroyed.
      if (stroke > 0 && FT_Glyph_StrokeBorder(&grown, stroker, /*inside=*/0,
                                              /*destroy=*/0) == 0) {
        outlines.strokes.emplace_back(grown);
      }
      outlines.glyphs.push_back(std::move(glyph));
    }
    baseline -= face->size->metrics.height;
  }
  FT_Stroker_Done(stroker);
  return outlines;
}

// Whole pixels around everything; empty without glyphs.
FT_BBox BoxOf(const Outlines& outlines) {
  FT_BBox all = {0, 0, 0, 0};
  bool first = true;
  for (const auto* list : {&outlines.glyphs, &outlines.strokes}) {
    for (const Glyph& glyph : *list) {
      FT_BBox box;
      FT_Outline_Get_BBox(&OutlineOf(glyph), &box);
      if (first) all = box;
      first = false;
      all.xMin = std::min(all.xMin, box.xMin);
      all.yMin = std::min(all.yMin, box.yMin);
      all.xMax = std::max(all.xMax, box.xMax);
      all.yMax = std::max(all.yMax, box.yMax);
    }
  }
  const auto floor = [](FT_Pos value) { return value & ~FT_Pos{63}; };
  return {floor(all.xMin), floor(all.yMin), floor(all.xMax + 63),
          floor(all.yMax + 63)};
}

TextExtent ExtentOf(const FT_BBox& box) {
  return {static_cast<int>((box.xMax - box.xMin) / 64),
          static_cast<int>((box.yMax - box.yMin) / 64)};
}

// The most that any of the glyphs covers of each pixel.
std::vector<uint8_t> CoverageOf(const std::vector<Glyph>& glyphs,
                                const FT_BBox& box) {
  const auto [width, height] = ExtentOf(box);
  std::vector<uint8_t> coverage(static_cast<size_t>(width) * height);
  for (const Glyph& glyph : glyphs) {
    FT_Outline_Translate(&OutlineOf(glyph), -box.xMin, -box.yMin);
    const std::vector<unsigned char> one =
        OutlineCoverage(OutlineOf(glyph), width, height);
    for (size_t i = 0; i < one.size(); ++i) {
      coverage[i] = std::max(coverage[i], one[i]);
    }
  }
  return coverage;
}

// The character that begins at `at`.
absl::string_view CharacterAt(absl::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;
  return text.substr(at, end - at);
}

uint8_t Mix(uint8_t below, uint8_t above, int coverage) {
  return static_cast<uint8_t>(
      (below * (255 - coverage) + above * coverage + 127) / 255);
}

void Blend(uint8_t* pixel, Rgb8 color, int coverage) {
  pixel[0] = Mix(pixel[0], color.red, coverage);
  pixel[1] = Mix(pixel[1], color.green, coverage);
  pixel[2] = Mix(pixel[2], color.blue, coverage);
}

}  // namespace

std::string MissingCharacters(Font& font, absl::string_view text) {
  Layout layout;
  size_t count = 0;
  const raqm_glyph_t* glyphs =
      LayOut(FaceAtSize(font, 16), text, &layout, &count);
  if (glyphs == nullptr) return std::string(text);
  std::string missing;
  for (size_t i = 0; i < count; ++i) {
    if (glyphs[i].index != 0 || glyphs[i].cluster >= text.size()) continue;
    const absl::string_view character = CharacterAt(text, glyphs[i].cluster);
    if (!absl::StrContains(missing, character)) {
      missing.append(character.data(), character.size());
    }
  }
  return missing;
}

TextMask DrawText(Font& font, const std::vector<std::string>& lines,
                  double size, double stroke) {
  const Outlines outlines = LayOutLines(font, lines, size, stroke);
  const FT_BBox box = BoxOf(outlines);
  const TextExtent extent = ExtentOf(box);
  TextMask mask = {.width = extent.width,
                   .height = extent.height,
                   .fill = CoverageOf(outlines.glyphs, box),
                   .outline = CoverageOf(outlines.strokes, box)};
  // Not everywhere within the stroked outline where glyphs are very thin.
  for (size_t i = 0; i < mask.fill.size(); ++i) {
    mask.outline[i] = std::max(mask.outline[i], mask.fill[i]);
  }
  return mask;
}

TextExtent MeasureText(Font& font, const std::vector<std::string>& lines,
                       double size, double stroke) {
  return ExtentOf(BoxOf(LayOutLines(font, lines, size, stroke)));
}

void BlendText(const TextMask& mask, int x, int y, Rgb8 fill, Rgb8 outline,
               image::RgbImage* picture) {
  const int left = std::max(0, -x);
  const int right = std::min(mask.width, picture->width - x);
  const int bottom = std::min(mask.height, picture->height - y);
  for (int row = std::max(0, -y); row < bottom; ++row) {
    for (int column = left; column < right; ++column) {
      const size_t at = static_cast<size_t>(row) * mask.width + column;
      uint8_t* pixel = picture->row(y + row) + 3 * (x + column);
      Blend(pixel, outline, mask.outline[at]);
      Blend(pixel, fill, mask.fill[at]);
    }
  }
}

}  // namespace attune::client
