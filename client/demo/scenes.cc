#include "client/demo/scenes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/demo/shapes.h"
#include "client/drawing/random.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::client {
namespace {

constexpr std::array<const char*, kClassCount> kClassNames = {
    "ball", "box",   "star",  "cross", "ring", "heart",
    "moon", "arrow", "house", "tree",  "fish", "boat"};

struct NamedColor {
  const char* name;
  Color color;
};
constexpr std::array<NamedColor, kColorCount> kColors = {{
    {"red", {215, 35, 35}},
    {"green", {35, 185, 55}},
    {"blue", {40, 65, 225}},
    {"yellow", {235, 215, 40}},
    {"purple", {160, 45, 190}},
    {"white", {240, 240, 240}},
}};

constexpr const char* kFontFolder = "/usr/share/fonts/truetype/dejavu/";
constexpr std::array<const char*, 2> kTrainingFonts = {"DejaVuSans.ttf",
                                                       "DejaVuSerif.ttf"};
constexpr std::array<const char*, 2> kUnseenFonts = {"DejaVuSansMono.ttf",
                                                     "DejaVuSerif-Bold.ttf"};

absl::StatusOr<std::vector<std::unique_ptr<Font>>> LoadFaces(
    const std::array<const char*, 2>& files) {
  std::vector<std::unique_ptr<Font>> fonts;
  for (const char* file : files) {
    absl::StatusOr<std::unique_ptr<Font>> font =
        Font::Load(absl::StrCat(kFontFolder, file));
    if (!font.ok()) {
      return Error(absl::StatusCode::kNotFound, "FONT_MISSING",
                   absl::StrCat("the demo writes words in ", kFontFolder, file,
                                ", which is not there: install the package "
                                "fonts-dejavu-core"));
    }
    fonts.push_back(*std::move(font));
  }
  return fonts;
}

Color Jitter(const Color& color, double by, Random& random) {
  Color result;
  for (int c = 0; c < 3; ++c) {
    result[c] = std::clamp(color[c] + random.Uniform(-by, by), 0.0, 255.0);
  }
  return result;
}

// A grey with a tint, brighter towards one side, with pixel noise.
void DrawBackground(Canvas& canvas, Random& random) {
  const double grey = random.Uniform(80, 150);
  const Color base = Jitter({grey, grey, grey}, 15, random);
  const double angle = random.Uniform(0, 2 * M_PI);
  const double slope = random.Uniform(0, 25);
  const double noise = random.Uniform(0, 10);
  const double half = canvas.side() / 2.0;
  for (int y = 0; y < canvas.side(); ++y) {
    for (int x = 0; x < canvas.side(); ++x) {
      const double along =
          ((x - half) * std::cos(angle) + (y - half) * std::sin(angle)) / half;
      for (int c = 0; c < 3; ++c) {
        canvas.Pixel(x, y)[c] =
            base[c] + slope * along + noise * random.Normal();
      }
    }
  }
}

void DrawObject(Canvas& canvas, const Scene& scene, Random& random) {
  const double middle = canvas.side() / 2.0;
  const double radius = random.Uniform(13, 18);
  const Point center = {middle + random.Uniform(-5, 5),
                        middle + random.Uniform(-5, 5)};
  const double tilt = random.Uniform(-15, 15) * M_PI / 180;
  std::vector<Contour> contours = ShapeOf(scene.object);
  for (Contour& contour : contours) {
    for (Point& point : contour) {
      point = {center.x + radius * (point.x * std::cos(tilt) -
                                    point.y * std::sin(tilt)),
               center.y + radius * (point.x * std::sin(tilt) +
                                    point.y * std::cos(tilt))};
    }
  }
  canvas.Fill(contours, Jitter(kColors[scene.color].color, 25, random));
}

// A light plate at the top or bottom edge with the word in dark ink.
void DrawPlate(Canvas& canvas, const Scene& scene, Font& font, Random& random) {
  const bool has_ink = scene.instead.value_or("ink") != "";
  const std::string text =
      has_ink && scene.instead ? *scene.instead : kClassNames[scene.word];
  const double size = random.Uniform(11, 12);
  const Canvas::Extent extent = Canvas::Measure(font, text, size);
  const double height = size + 1;
  const double width = extent.width + 4;
  const double middle = canvas.side() / 2.0 + random.Uniform(-5, 5);
  const double left =
      std::clamp(middle - width / 2, 0.0, std::max(0.0, canvas.side() - width));
  const double top = random.Index(2) == 0 ? 0.5 : canvas.side() - height - 0.5;
  const double light = random.Uniform(215, 250);
  canvas.Fill({{{left, top},
                {left + width, top},
                {left + width, top + height},
                {left, top + height}}},
              Jitter({light, light, light}, 8, random));
  if (!has_ink) return;
  const double dark = random.Uniform(5, 45);
  const double baseline = top + height / 2 + size * 0.27;
  canvas.DrawWord(font, text, size, {left + 2, baseline}, random.Uniform(-3, 3),
                  Jitter({dark, dark, dark}, 8, random));
}

}  // namespace

const char* ClassName(int class_index) { return kClassNames[class_index]; }
const char* ColorName(int color_index) { return kColors[color_index].name; }

absl::StatusOr<SceneArtist> SceneArtist::Create() {
  ATTUNE_ASSIGN_OR_RETURN(Fonts fonts, LoadFaces(kTrainingFonts));
  ATTUNE_ASSIGN_OR_RETURN(Fonts unseen_fonts, LoadFaces(kUnseenFonts));
  return SceneArtist(std::move(fonts), std::move(unseen_fonts));
}

image::RgbImage SceneArtist::Draw(const Scene& scene, uint64_t seed) {
  Random random(seed);
  Canvas canvas(kSceneSide);
  DrawBackground(canvas, random);
  if (scene.object != kNothing) DrawObject(canvas, scene, random);
  if (scene.word != kNothing) {
    const Fonts& fonts = scene.unseen_font ? unseen_fonts_ : fonts_;
    Font& font = *fonts[random.Index(static_cast<int>(fonts.size()))];
    DrawPlate(canvas, scene, font, random);
  }
  return canvas.Image();
}

}  // namespace attune::client
