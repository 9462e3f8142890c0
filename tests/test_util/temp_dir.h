#ifndef ATTUNE_TESTS_TEST_UTIL_TEMP_DIR_H_
#define ATTUNE_TESTS_TEST_UTIL_TEMP_DIR_H_

#include <filesystem>
#include <string>

#include "absl/strings/string_view.h"

namespace attune::test {

// A new empty folder that is removed with everything in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // The path of a file in it, as a string.
  std::string File(absl::string_view name) const;

 private:
  std::filesystem::path path_;
};

}  // namespace attune::test

#endif  // ATTUNE_TESTS_TEST_UTIL_TEMP_DIR_H_
