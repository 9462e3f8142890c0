// Pillow's resampling of eight-bit pixels (src/libImaging/Resample.c) for a
// part of the output. Every sum is exact in 32 bits, so
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

// Filters horizontally, rounds to bytes, then filters vertically: vertical
// .size() rows of horizontal.size() pixels, without padding.
// REQUIRES: the filters' inputs are the image's width and height, their
// positions ascend, and they have at least one.
std::vector<uint8_t> Resample(const RgbImage& image,
                              const AxisFilter& horizontal,
                              const AxisFilter& vertical);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_RESAMPLE_H_
