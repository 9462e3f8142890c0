#include "client/commands/image_batches.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "gtest/gtest.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

std::string FileOfSize(const test::TempDir& folder, const std::string& name,
                       uintmax_t bytes) {
  const std::string path = folder.File(name);
  std::ofstream(path).close();
  std::filesystem::resize_file(path, bytes);
  return path;
}

TEST(GroupFiles, AGroupHoldsAtMost256Files) {
  test::TempDir folder;
  const std::vector<std::string> paths(513, FileOfSize(folder, "a", 10));
  const auto groups = GroupFiles(paths);
  ASSERT_TRUE(groups.ok());
  ASSERT_EQ(groups->size(), 3u);
  EXPECT_EQ((*groups)[0].last, 256u);
  EXPECT_EQ((*groups)[1].first, 256u);
  EXPECT_EQ((*groups)[2].first, 512u);
  EXPECT_EQ((*groups)[2].last, 513u);
}

TEST(GroupFiles, AGroupStaysBelowTheSizeOfARequest) {
  test::TempDir folder;
  const std::string big = FileOfSize(folder, "big", 15 << 20);
  const std::string small = FileOfSize(folder, "small", 1 << 20);
  const auto groups = GroupFiles({big, small, big, small});
  ASSERT_TRUE(groups.ok());
  ASSERT_EQ(groups->size(), 2u);
  EXPECT_EQ((*groups)[0].last, 2u);
}

TEST(GroupFiles, AMissingFileReturnsFileNotFound) {
  const absl::Status status = GroupFiles({"/no/such/file"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(status), "FILE_NOT_FOUND");
}

TEST(GroupFiles, APictureAboveTwentyMebibytesReturnsImageTooLarge) {
  test::TempDir folder;
  EXPECT_TRUE(GroupFiles({FileOfSize(folder, "a", 20 << 20)}).ok());
  const absl::Status status =
      GroupFiles({FileOfSize(folder, "b", (20 << 20) + 1)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "IMAGE_TOO_LARGE");
}

}  // namespace
}  // namespace attune::client
