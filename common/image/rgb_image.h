#ifndef ATTUNE_COMMON_IMAGE_RGB_IMAGE_H_
#define ATTUNE_COMMON_IMAGE_RGB_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attune::image {

// Eight bits a channel, rows from the top, R G B R G B …, no padding:
// pixels.size() == width · height · 3.
struct RgbImage {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;

  const uint8_t* row(int y) const {
    return pixels.data() + static_cast<size_t>(y) * width * 3;
  }
  uint8_t* row(int y) {
    return pixels.data() + static_cast<size_t>(y) * width * 3;
  }
};

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_RGB_IMAGE_H_
