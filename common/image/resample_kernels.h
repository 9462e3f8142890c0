// The inner loops of Resample, in the best instruction set that the machine
// has. Weights lie as high, high', low, low' for each pair of neighbouring
// taps, where a weight is high · 256 + low and 0 <= low < 256. Sums are rounded
// as AxisFilter says.

#ifndef ATTUNE_COMMON_IMAGE_RESAMPLE_KERNELS_H_
#define ATTUNE_COMMON_IMAGE_RESAMPLE_KERNELS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace attune::image {

// What whole vectors may read past the last tap, pixel or weight, and write
// past a row's end, in bytes.
inline constexpr size_t kKernelSlack = 32;

// Output pixel x of each of four rows of RGB bytes is the sum over taps k below
// padded_count[x], a multiple of four, of weight k of position x times input
// pixel first[x] + k. `weights_stride` counts the values of a position.
void FilterFourRows(const std::array<const uint8_t*, 4>& in,
                    const std::array<uint8_t*, 4>& out, const int* first,
                    const int* padded_count, const int16_t* weights,
                    int weights_stride, int size);

// out[x] is the sum over the rows 0 … 2 · pairs − 1 of their weight times
// byte x.
void FilterColumn(const uint8_t* const* rows, const int16_t* weights, int pairs,
                  int bytes, uint8_t* out);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_RESAMPLE_KERNELS_H_
