// From pixels to what the image tower takes, byte for byte as the reference:
// torchvision's Resize(size, BICUBIC) on a Pillow image, CenterCrop(size),
// ToTensor, Normalize.

#ifndef ATTUNE_COMMON_IMAGE_PREPROCESS_H_
#define ATTUNE_COMMON_IMAGE_PREPROCESS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/image/rgb_image.h"

namespace attune::image {

// The sides after resizing and where the square is cut out of them.
struct CropGeometry {
  int resized_width;
  int resized_height;
  int left;
  int top;
};

// The short side becomes `size`, the long one int(size · long / short); the
// square starts at round((side − size) / 2), halves rounded to even.
CropGeometry ComputeCropGeometry(int width, int height, int size);

// size × size × 3 bytes, R G B R G B …: Pillow's antialiased bicubic filter
// (a = −0.5), each pass rounded to eight bits, horizontally first. Computes
// only what the square needs. Thread-safe.
// REQUIRES: an image with pixels; size >= 1.
std::vector<uint8_t> PreprocessToRgb8(const RgbImage& image, int size);

// DecodeImage and PreprocessToRgb8; fails as DecodeImage.
absl::StatusOr<std::vector<uint8_t>> DecodeAndPreprocess(
    absl::string_view bytes, int size);

// out[c][y][x] = (rgb[y][x][c] / 255 − mean[c]) / deviation[c] in float, for
// size × size pixels. `out` holds 3 · size · size floats.
void NormalizeToChw(const uint8_t* rgb, int size, const float mean[3],
                    const float deviation[3], float* out);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_PREPROCESS_H_
