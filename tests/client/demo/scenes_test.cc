#include "client/demo/scenes.h"

#include <algorithm>
#include <cmath>

#include "client/demo/shapes.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

// How many pixels differ by more than `by` in some channel.
int CountDifferent(const image::RgbImage& a, const image::RgbImage& b, int by) {
  int count = 0;
  for (int i = 0; i < a.width * a.height; ++i) {
    bool differs = false;
    for (int c = 0; c < 3; ++c) {
      differs |= std::abs(a.pixels[3 * i + c] - b.pixels[3 * i + c]) > by;
    }
    count += differs;
  }
  return count;
}

TEST(Shapes, StayInTheUnitCircleAndAreNotTiny) {
  for (int i = 0; i < kClassCount; ++i) {
    double area = 0;
    for (const Contour& contour : ShapeOf(i)) {
      double signed_area = 0;
      for (size_t k = 0; k < contour.size(); ++k) {
        const Point& a = contour[k];
        const Point& b = contour[(k + 1) % contour.size()];
        EXPECT_LE(std::hypot(a.x, a.y), 1.2) << ClassName(i);
        signed_area += (a.x * b.y - b.x * a.y) / 2;
      }
      area += std::abs(signed_area);
    }
    EXPECT_GT(area, 0.5) << ClassName(i);
  }
}

TEST(Scenes, TheSameSceneAndSeedGiveTheSamePicture) {
  auto artist = SceneArtist::Create();
  ASSERT_TRUE(artist.ok()) << artist.status();
  const Scene scene = {.object = 2, .color = 1, .word = 5};
  EXPECT_EQ(artist->Draw(scene, 7).pixels, artist->Draw(scene, 7).pixels);
  EXPECT_NE(artist->Draw(scene, 7).pixels, artist->Draw(scene, 8).pixels);
}

TEST(Scenes, EveryClassIsDrawnAndLooksLikeNoOther) {
  auto artist = SceneArtist::Create();
  ASSERT_TRUE(artist.ok()) << artist.status();
  const image::RgbImage nothing = artist->Draw({}, 3);
  EXPECT_EQ(nothing.width, kSceneSide);
  EXPECT_EQ(nothing.height, kSceneSide);
  for (int i = 0; i < kClassCount; ++i) {
    const image::RgbImage one = artist->Draw({.object = i, .color = 0}, 3);
    EXPECT_GT(CountDifferent(nothing, one, 40), 60) << ClassName(i);
    for (int k = 0; k < i; ++k) {
      EXPECT_GT(
          CountDifferent(one, artist->Draw({.object = k, .color = 0}, 3), 40),
          40)
          << ClassName(i) << " and " << ClassName(k);
    }
  }
}

TEST(Scenes, AWordIsDarkInkOnALightPlateAndLeavesTheMiddleFree) {
  auto artist = SceneArtist::Create();
  ASSERT_TRUE(artist.ok()) << artist.status();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const image::RgbImage picture = artist->Draw({.word = 9}, seed);
    int light = 0;
    int left = kSceneSide, right = -1, top = kSceneSide, bottom = -1;
    for (int y = 0; y < kSceneSide; ++y) {
      for (int x = 0; x < kSceneSide; ++x) {
        const uint8_t* pixel = picture.row(y) + 3 * x;
        if (pixel[0] < 200 || pixel[1] < 200 || pixel[2] < 200) continue;
        ++light;
        left = std::min(left, x);
        right = std::max(right, x);
        top = std::min(top, y);
        bottom = std::max(bottom, y);
      }
    }
    EXPECT_TRUE(bottom < 17 || top > 30) << top << " to " << bottom;
    int dark = 0;
    for (int y = top; y <= bottom; ++y) {
      for (int x = left; x <= right; ++x) {
        const uint8_t* pixel = picture.row(y) + 3 * x;
        dark += pixel[0] < 120 && pixel[1] < 120 && pixel[2] < 120;
      }
    }
    EXPECT_GT(light, 80) << seed;
    EXPECT_GT(dark, 15) << seed;
  }
}

TEST(Scenes, ABlankPlateIsThatOfItsWordWithoutInk) {
  auto artist = SceneArtist::Create();
  ASSERT_TRUE(artist.ok()) << artist.status();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const image::RgbImage word = artist->Draw({.word = 9}, seed);
    const image::RgbImage blank =
        artist->Draw({.word = 9, .instead = ""}, seed);
    int inked = 0;
    for (size_t i = 0; i < word.pixels.size(); ++i) {
      // Ink only darkens.
      EXPECT_LE(word.pixels[i], blank.pixels[i]);
      inked += word.pixels[i] + 40 < blank.pixels[i];
    }
    EXPECT_GT(inked, 40) << seed;
    const image::RgbImage other =
        artist->Draw({.word = 9, .instead = "lamp"}, seed);
    EXPECT_GT(CountDifferent(word, other, 40), 10) << seed;
  }
}

}  // namespace
}  // namespace attune::client
