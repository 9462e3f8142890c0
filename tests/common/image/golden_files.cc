#include "tests/common/image/golden_files.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace attune::image::test {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string GoldenFile(const std::string& name) {
  return ReadFile(std::string(ATTUNE_GOLDEN_DIR) + "/" + name);
}

nlohmann::json GoldenJson(const std::string& name) {
  return nlohmann::json::parse(GoldenFile(name));
}

std::string Digest(const std::vector<uint8_t>& bytes) {
  return Sha256Hex(absl::string_view(
      reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::vector<float> ReadNpy(const std::string& path) {
  const std::string bytes = ReadFile(path);
  // Magic, version 1.0, the length of a header of text, the numbers.
  EXPECT_EQ(bytes.substr(0, 7), "\x93NUMPY\x01") << path;
  const size_t header = static_cast<unsigned char>(bytes[8]) |
                        static_cast<unsigned char>(bytes[9]) << 8;
  const std::string text = bytes.substr(10, header);
  EXPECT_NE(text.find("'<f4'"), std::string::npos) << text;
  EXPECT_NE(text.find("'fortran_order': False"), std::string::npos) << text;
  std::vector<float> numbers((bytes.size() - 10 - header) / sizeof(float));
  std::memcpy(numbers.data(), bytes.data() + 10 + header,
              numbers.size() * sizeof(float));
  return numbers;
}

}  // namespace attune::image::test
