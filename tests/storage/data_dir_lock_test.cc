#include "storage/data_dir_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::HasSubstr;

TEST(DataDirLock, ASecondOwnerIsToldTheFirstOnesProcess) {
  test::TempDir folder;
  const auto lock = DataDirLock::Acquire(folder.path());
  ASSERT_THAT(lock, IsOk());
  const auto second = DataDirLock::Acquire(folder.path());
  EXPECT_THAT(second, HasError(absl::StatusCode::kFailedPrecondition,
                               "DATA_DIR_LOCKED"));
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("process ", getpid(), ";")));
}

TEST(DataDirLock, IsFreeAgainAfterRelease) {
  test::TempDir folder;
  ASSERT_THAT(DataDirLock::Acquire(folder.path()), IsOk());
  EXPECT_THAT(DataDirLock::Acquire(folder.path()), IsOk());
}

TEST(DataDirLock, IsFreeAgainWhenItsProcessDies) {
  test::TempDir folder;
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = DataDirLock::Acquire(folder.path());
    _exit(lock.ok() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(DataDirLock::Acquire(folder.path()), IsOk());
}

TEST(DataDirLock, AMissingFolderIsNotFound) {
  test::TempDir folder;
  EXPECT_THAT(DataDirLock::Acquire(folder.File("none")),
              HasError(absl::StatusCode::kNotFound, "DISK_ERROR"));
}

}  // namespace
}  // namespace attune::storage
