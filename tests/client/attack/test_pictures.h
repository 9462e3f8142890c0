#ifndef ATTUNE_TESTS_CLIENT_ATTACK_TEST_PICTURES_H_
#define ATTUNE_TESTS_CLIENT_ATTACK_TEST_PICTURES_H_

#include <filesystem>
#include <fstream>
#include <string>

#include "common/image/encode.h"
#include "common/image/rgb_image.h"

namespace attune::client {

// A grey of which no channel is that of one of the attack's colours.
inline image::RgbImage GreyPicture(int width, int height, uint8_t grey = 120) {
  image::RgbImage picture = {.width = width, .height = height, .pixels = {}};
  picture.pixels.assign(static_cast<size_t>(width) * height * 3, grey);
  return picture;
}

inline void WriteFile(const std::filesystem::path& path,
                      const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

// A PNG file of one grey.
inline void WritePicture(const std::filesystem::path& path, int width = 300,
                         int height = 240, uint8_t grey = 120) {
  WriteFile(path, *image::EncodePng(GreyPicture(width, height, grey)));
}

}  // namespace attune::client

#endif  // ATTUNE_TESTS_CLIENT_ATTACK_TEST_PICTURES_H_
