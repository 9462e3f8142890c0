#include "tests/test_util/temp_dir.h"

#include <cstdlib>

namespace attune::test {

TempDir::TempDir() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "attune-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::File(absl::string_view name) const {
  return (path_ / std::string(name)).string();
}

}  // namespace attune::test
