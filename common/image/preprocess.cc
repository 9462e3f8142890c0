#include "common/image/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/image/decode.h"
#include "common/image/resample.h"
#include "common/status_macros.h"

namespace attune::image {
namespace {

// The nearest integer to (side − size) / 2, halves to even; side >= size.
int CropStart(int side, int size) {
  const int doubled = side - size;
  const int half = doubled / 2;
  return doubled % 2 == 1 && half % 2 == 1 ? half + 1 : half;
}

}  // namespace

CropGeometry ComputeCropGeometry(int width, int height, int size) {
  const auto long_side = [size](int longer, int shorter) {
    return static_cast<int>(static_cast<double>(int64_t{size} * longer) /
                            shorter);
  };
  CropGeometry geometry;
  geometry.resized_width = width <= height ? size : long_side(width, height);
  geometry.resized_height = width <= height ? long_side(height, width) : size;
  geometry.left = CropStart(geometry.resized_width, size);
  geometry.top = CropStart(geometry.resized_height, size);
  return geometry;
}

std::vector<uint8_t> PreprocessToRgb8(const RgbImage& image, int size) {
  const CropGeometry geometry =
      ComputeCropGeometry(image.width, image.height, size);
  // Either both sides change or none does.
  if (geometry.resized_width != image.width) {
    return Resample(
        image,
        BicubicFilter(image.width, geometry.resized_width, geometry.left, size),
        BicubicFilter(image.height, geometry.resized_height, geometry.top,
                      size));
  }
  std::vector<uint8_t> out;
  out.reserve(size_t{3} * size * size);
  for (int y = 0; y < size; ++y) {
    const uint8_t* row = image.row(geometry.top + y) + 3 * geometry.left;
    out.insert(out.end(), row, row + 3 * size);
  }
  return out;
}

absl::StatusOr<std::vector<uint8_t>> DecodeAndPreprocess(
    absl::string_view bytes, int size) {
  ATTUNE_ASSIGN_OR_RETURN(const RgbImage image, DecodeImage(bytes));
  return PreprocessToRgb8(image, size);
}

void NormalizeToChw(const uint8_t* rgb, int size, const float mean[3],
                    const float deviation[3], float* out) {
  const int pixels = size * size;
  for (int channel = 0; channel < 3; ++channel) {
    float value_of[256];
    for (int byte = 0; byte < 256; ++byte) {
      value_of[byte] = (static_cast<float>(byte) / 255.0f - mean[channel]) /
                       deviation[channel];
    }
    float* plane = out + static_cast<size_t>(channel) * pixels;
    for (int i = 0; i < pixels; ++i) plane[i] = value_of[rgb[3 * i + channel]];
  }
}

}  // namespace attune::image
