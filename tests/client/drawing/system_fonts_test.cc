#include "client/drawing/system_fonts.h"

#include <algorithm>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/drawing/test_fonts.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

using testing::HasSubstr;

std::vector<std::string> Paths(
    const std::vector<std::unique_ptr<Font>>& fonts) {
  std::vector<std::string> paths;
  for (const std::unique_ptr<Font>& font : fonts) {
    paths.push_back(font->path());
  }
  return paths;
}

TEST(SystemFonts, AFileIsLoadedFromItsPath) {
  const auto fonts = LoadFonts({kSerifBold});
  ASSERT_THAT(fonts, test::IsOk());
  ASSERT_EQ(fonts->size(), 1u);
  EXPECT_EQ((*fonts)[0]->path(), kSerifBold);
  EXPECT_EQ((*fonts)[0]->name(), "DejaVu Serif Bold");
}

TEST(SystemFonts, ANameStandsForTheFontsThatFontconfigHasOfIt) {
  const auto fonts = LoadFonts({"DejaVu Serif:bold:slant=0:width=100"});
  ASSERT_THAT(fonts, test::IsOk());
  EXPECT_THAT(Paths(*fonts), testing::ElementsAre(kSerifBold));
}

TEST(SystemFonts, AFontThatIsNamedTwiceIsLoadedOnce) {
  const auto fonts = LoadFonts({kSans, kSans});
  ASSERT_THAT(fonts, test::IsOk());
  EXPECT_EQ(fonts->size(), 1u);
}

TEST(SystemFonts, WithoutNamesAllAreLoadedInTheOrderOfTheirPaths) {
  const auto fonts = LoadFonts({});
  ASSERT_THAT(fonts, test::IsOk());
  const std::vector<std::string> paths = Paths(*fonts);
  EXPECT_TRUE(std::is_sorted(paths.begin(), paths.end()));
  EXPECT_THAT(paths, testing::Contains(std::string(kSans)));
}

TEST(SystemFonts, AnUnknownNameIsNotFound) {
  const auto fonts = LoadFonts({"No Such Font At All"});
  EXPECT_THAT(fonts,
              test::HasError(absl::StatusCode::kNotFound, "FONT_MISSING"));
  EXPECT_THAT(std::string(fonts.status().message()),
              HasSubstr("'No Such Font At All'"));
}

TEST(SystemFonts, AFileThatIsNoFontIsNamed) {
  test::TempDir folder;
  const std::string path = folder.File("words.ttf");
  std::ofstream(path) << "not a font";
  const auto fonts = LoadFonts({path});
  EXPECT_THAT(fonts,
              test::HasError(absl::StatusCode::kNotFound, "FONT_MISSING"));
  EXPECT_THAT(std::string(fonts.status().message()), HasSubstr(path));
}

}  // namespace
}  // namespace attune::client
