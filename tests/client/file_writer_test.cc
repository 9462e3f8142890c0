#include "client/file_writer.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "client/examples_file.h"
#include "common/error.h"
#include "gtest/gtest.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

int FileCount(const std::filesystem::path& folder) {
  return static_cast<int>(
      std::distance(std::filesystem::directory_iterator(folder),
                    std::filesystem::directory_iterator()));
}

TEST(FileWriter, CommitReplacesTheFileAndLeavesNoOther) {
  test::TempDir folder;
  const std::string path = folder.File("model");
  std::ofstream(path) << "old";
  {
    FileWriter writer(path);
    ASSERT_TRUE(writer.Write("new ").ok());
    ASSERT_TRUE(writer.Write("bytes").ok());
    EXPECT_EQ(*ReadFile(path), "old");
    ASSERT_TRUE(writer.Commit().ok());
  }
  EXPECT_EQ(*ReadFile(path), "new bytes");
  EXPECT_EQ(FileCount(folder.path()), 1);
}

TEST(FileWriter, WithoutCommitNothingIsLeft) {
  test::TempDir folder;
  {
    FileWriter writer(folder.File("model"));
    ASSERT_TRUE(writer.Write("half").ok());
  }
  EXPECT_EQ(FileCount(folder.path()), 0);
}

TEST(FileWriter, AFolderThatIsMissingReturnsFileNotWritten) {
  test::TempDir folder;
  FileWriter writer(folder.File("none/model"));
  const absl::Status status = writer.Write("x");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), "FILE_NOT_WRITTEN");
  EXPECT_EQ(writer.Commit(), status);
}

}  // namespace
}  // namespace attune::client
