#include "tests/test_util/shared_data.h"

#include <cstdlib>
#include <filesystem>

namespace attune::test {

std::string SharedDataDir() {
  if (const char* folder = std::getenv("ATTUNE_SHARED_DATA")) {
    return std::filesystem::is_directory(folder) ? folder : "";
  }
  const std::filesystem::path beside =
      std::filesystem::path(ATTUNE_SOURCE_DIR).parent_path() / "shared/data";
  return std::filesystem::is_directory(beside) ? beside.string() : "";
}

}  // namespace attune::test
