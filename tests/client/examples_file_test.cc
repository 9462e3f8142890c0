#include "client/examples_file.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

class ExamplesFileTest : public ::testing::Test {
 protected:
  std::string Write(absl::string_view name, absl::string_view text) {
    std::filesystem::create_directories(
        std::filesystem::path(folder_.File(name)).parent_path());
    std::ofstream(folder_.File(name), std::ios::binary) << text;
    return folder_.File(name);
  }

  test::TempDir folder_;
};

TEST_F(ExamplesFileTest, PathsAreRelativeToTheFileAndBytesAreRead) {
  Write("in/pictures/a.jpg", "AAA");
  Write("in/b.jpg", "BB");
  const std::string path =
      Write("in/examples.jsonl",
            "{\"image\": \"pictures/a.jpg\", \"preferred\": \"x\", "
            "\"rejected\": \"y\", \"clean_image\": \"b.jpg\"}\n"
            "\n"
            "{\"image\": \"b.jpg\"}\r\n");
  const auto file = ExamplesFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->size(), 2);
  EXPECT_EQ(file->image_bytes(), 7);
  const auto pair = file->Read(0);
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(pair->image(), "AAA");
  EXPECT_EQ(pair->pair().clean_image(), "BB");
  EXPECT_EQ(file->Read(1)->image(), "BB");
}

TEST_F(ExamplesFileTest, AbsolutePathsAreTakenAsTheyAre) {
  const std::string picture = Write("elsewhere/a.jpg", "A");
  const std::string path = Write(
      "in/examples.jsonl", absl::StrCat("{\"image\": \"", picture, "\"}\n"));
  const auto file = ExamplesFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->Read(0)->image(), "A");
}

TEST_F(ExamplesFileTest, EveryBadLineIsNamedWithItsNumber) {
  Write("a.jpg", "A");
  Write("empty.jpg", "");
  const std::string path = Write("e.jsonl",
                                 "{\"image\": \"a.jpg\"}\n"
                                 "\n"
                                 "{\"image\": \"missing.jpg\"}\n"
                                 "{\"image\": \"a.jpg\", \"x\": 1}\n"
                                 "{\"image\": \"empty.jpg\"}\n"
                                 "{\"image\": \".\"}\n");
  const absl::Status status = ExamplesFile::Open(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_EXAMPLES_FILE");
  const auto fields = ErrorFields(status);
  ASSERT_EQ(fields.size(), 4u);
  EXPECT_EQ(fields[0].field, path + ":3");
  EXPECT_THAT(fields[0].description, ::testing::HasSubstr("there is no file"));
  EXPECT_EQ(fields[1], (FieldViolation{path + ":4", "unknown key \"x\""}));
  EXPECT_EQ(fields[2].field, path + ":5");
  EXPECT_EQ(fields[3].field, path + ":6");
}

TEST_F(ExamplesFileTest, PicturesAboveTwentyMebibytesAreRefused) {
  const std::string picture = Write("big.jpg", "x");
  std::filesystem::resize_file(picture, 20 << 20);
  const std::string path = Write("e.jsonl", "{\"image\": \"big.jpg\"}\n");
  EXPECT_TRUE(ExamplesFile::Open(path).ok());
  std::filesystem::resize_file(picture, (20 << 20) + 1);
  EXPECT_EQ(ErrorReason(ExamplesFile::Open(path).status()),
            "INVALID_EXAMPLES_FILE");
}

TEST_F(ExamplesFileTest, AFileWithoutExamplesIsRefused) {
  const std::string path = Write("e.jsonl", "\n\n");
  EXPECT_EQ(ErrorReason(ExamplesFile::Open(path).status()),
            "INVALID_EXAMPLES_FILE");
}

TEST_F(ExamplesFileTest, AMissingFileOrAFolderReturnsFileNotFound) {
  for (const std::string& path :
       {folder_.File("none.jsonl"), folder_.path().string()}) {
    const absl::Status status = ExamplesFile::Open(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(ErrorReason(status), "FILE_NOT_FOUND");
  }
}

TEST_F(ExamplesFileTest, APictureThatGoesAfterTheCheckIsNamedWithItsLine) {
  const std::string picture = Write("a.jpg", "A");
  const std::string path = Write("e.jsonl", "\n{\"image\": \"a.jpg\"}\n");
  const auto file = ExamplesFile::Open(path);
  ASSERT_TRUE(file.ok());
  std::filesystem::remove(picture);
  const absl::Status status = file->Read(0).status();
  EXPECT_EQ(ErrorReason(status), "FILE_NOT_FOUND");
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(path + ":2"));
}

TEST_F(ExamplesFileTest, ReadLinesLeavesOutBlankLinesAndSpace) {
  const auto lines = ReadLines(Write("p.txt", " a dog. \n\n\ta cat.\r\n"));
  ASSERT_TRUE(lines.ok());
  EXPECT_THAT(*lines, ::testing::ElementsAre("a dog.", "a cat."));
}

}  // namespace
}  // namespace attune::client
