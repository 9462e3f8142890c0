#ifndef ATTUNE_TESTS_COMMON_IMAGE_GOLDEN_FILES_H_
#define ATTUNE_TESTS_COMMON_IMAGE_GOLDEN_FILES_H_

#include <string>
#include <vector>

#include "common/digest.h"
#include "nlohmann/json.hpp"

namespace attune::image::test {

// A file's bytes; fails the test when it cannot be read.
std::string ReadFile(const std::string& path);

// tests/golden/NAME, and the same parsed.
std::string GoldenFile(const std::string& name);
nlohmann::json GoldenJson(const std::string& name);

std::string Digest(const std::vector<uint8_t>& bytes);

// The numbers of a NumPy file of little-endian float32 in C order.
std::vector<float> ReadNpy(const std::string& path);

}  // namespace attune::image::test

#endif  // ATTUNE_TESTS_COMMON_IMAGE_GOLDEN_FILES_H_
