#ifndef ATTUNE_TESTS_CLIENT_DRAWING_TEST_FONTS_H_
#define ATTUNE_TESTS_CLIENT_DRAWING_TEST_FONTS_H_

#include <filesystem>
#include <memory>

#include "client/drawing/font.h"

namespace attune::client {

// Of fonts-dejavu-core, which the build needs: Latin, Greek, Cyrillic, Hebrew
// and Arabic letters, no Chinese ones.
inline constexpr char kSans[] =
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
inline constexpr char kSerifBold[] =
    "/usr/share/fonts/truetype/dejavu/DejaVuSerif-Bold.ttf";
// Of fonts-droid-fallback, which the tests install: Chinese, Japanese and
// Korean letters, no digits or Latin letters.
inline constexpr char kChinese[] =
    "/usr/share/fonts-droid-fallback/truetype/DroidSansFallback.ttf";

inline std::unique_ptr<Font> LoadTestFont(const char* path) {
  return *Font::Load(path);
}

}  // namespace attune::client

#define ATTUNE_SKIP_WITHOUT_CHINESE_FONT()                          \
  if (!std::filesystem::exists(kChinese))                           \
  GTEST_SKIP() << kChinese                                          \
               << " is not here: install fonts-droid-fallback, as " \
                  "tests/run.sh does"

#endif  // ATTUNE_TESTS_CLIENT_DRAWING_TEST_FONTS_H_
