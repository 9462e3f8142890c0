// Pillow's resampling of eight-bit pixels (src/libImaging/Resample.c), one
// axis at a time, for a part of the output. Every sum is exact in 32 bits, so
// that the order of the additions, and thus SIMD, changes no bit.

#ifndef ATTUNE_COMMON_IMAGE_RESAMPLE_H_
#define ATTUNE_COMMON_IMAGE_RESAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/image/rgb_image.h"

namespace attune::image {

// Fixed point of the weights: 32 bits less 8 of the pixels and 2 for sums
// beyond the range.
inline constexpr int kWeightBits = 22;

// The weights of each output position: out[i] = clip((Σ_k weight[i][k] ·
// in[first[i] + k] + 2^21) >> 22), with k below count[i].
struct AxisFilter {
  std::vector<int> first;
  std::vector<int> count;
  int stride = 0;  // Weights of a position; those past its count are 0.
  std::vector<int32_t> weights;

  const int32_t* weights_of(int i) const {
    return weights.data() + static_cast<size_t>(i) * stride;
  }
  int size() const { return static_cast<int>(first.size()); }
};

// The filter from `in_size` to `out_size` pixels for the output positions
// [begin, begin + size): bicubic with a = −0.5, widened by the scale when it
// shrinks, normalised in double, rounded to kWeightBits.
AxisFilter BicubicFilter(int in_size, int out_size, int begin, int size);

// Rows of RGB bytes between the two passes, each followed by slack that whole
// vectors may read and write.
struct PixelRows {
  static constexpr int kSlack = 64;

  PixelRows(int width_in, int height_in)
      : width(width_in),
        height(height_in),
        stride(size_t{3} * width_in + kSlack),
        bytes(stride * height_in) {}

  uint8_t* row(int y) { return bytes.data() + stride * y; }
  const uint8_t* row(int y) const { return bytes.data() + stride * y; }

  int width;
  int height;
  size_t stride;
  std::vector<uint8_t> bytes;
};

// Filters the image's rows from `first_row` on horizontally into all of `out`.
// REQUIRES: out->width == filter.size().
void FilterRows(const RgbImage& image, int first_row, const AxisFilter& filter,
                PixelRows* out);

// Filters vertically rows that start at row `first_row` of the filter's input;
// the result is filter.size() rows of rows.width pixels without padding.
std::vector<uint8_t> FilterColumns(const PixelRows& rows, int first_row,
                                   const AxisFilter& filter);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_RESAMPLE_H_
