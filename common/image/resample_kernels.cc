// Highway's foreach_target includes this file once for each instruction set;
// the best one is picked when the program runs. Vectors have 16 or 32 bytes.

#include "common/image/resample_kernels.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/image/resample.h"

// Their vectors have no blocks of 16 bytes in a fixed order.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "common/image/resample_kernels.cc"
#include <hwy/foreach_target.h>
// Needs the line above first.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attune::image::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// A weight w is split into high · 256 + low, both of which fit 16 bits, so
// that Σ w · p = 256 Σ high · p + Σ low · p needs 16-bit products only.
constexpr int kLowBits = 8;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

#if HWY_TARGET == HWY_SCALAR

uint8_t Finish(int32_t high, int32_t low) {
  const int32_t value = (high * (1 << kLowBits) + low + kHalf) >> kWeightBits;
  return static_cast<uint8_t>(std::clamp(value, 0, 255));
}

// The weight of tap k lies at 4 (k / 2) + k % 2, its low part 2 further on.
void FilterFourRows(const std::array<const uint8_t*, 4>& in,
                    const std::array<uint8_t*, 4>& out, const int* first,
                    const int* padded_count, const int16_t* weights,
                    int weights_stride, int size) {
  for (int x = 0; x < size; ++x, weights += weights_stride) {
    for (int row = 0; row < 4; ++row) {
      for (int channel = 0; channel < 3; ++channel) {
        const uint8_t* pixel = in[row] + size_t{3} * first[x] + channel;
        int32_t high = 0, low = 0;
        for (int k = 0; k < padded_count[x]; ++k) {
          high += weights[4 * (k / 2) + k % 2] * pixel[3 * k];
          low += weights[4 * (k / 2) + 2 + k % 2] * pixel[3 * k];
        }
        out[row][3 * x + channel] = Finish(high, low);
      }
    }
  }
}

void FilterColumn(const uint8_t* const* rows, const int16_t* weights, int pairs,
                  int bytes, uint8_t* out) {
  for (int x = 0; x < bytes; ++x) {
    int32_t high = 0, low = 0;
    for (int k = 0; k < 2 * pairs; ++k) {
      high += weights[4 * (k / 2) + k % 2] * rows[k][x];
      low += weights[4 * (k / 2) + 2 + k % 2] * rows[k][x];
    }
    out[x] = Finish(high, low);
  }
}

#else  // HWY_TARGET

using Bytes = hn::CappedTag<uint8_t, 32>;
using Shorts = hn::Repartition<int16_t, Bytes>;
using Ints = hn::Repartition<int32_t, Bytes>;
using ShortsV = hn::Vec<Shorts>;
using IntsV = hn::Vec<Ints>;

// sum[i] + a[2i] · b[2i] + a[2i+1] · b[2i+1].
HWY_INLINE IntsV AddPairProducts(ShortsV a, ShortsV b, IntsV sum) {
  const Ints d;
  IntsV odd = hn::Zero(d);
  const IntsV even = hn::ReorderWidenMulAccumulate(d, a, b, hn::Zero(d), odd);
  return hn::Add(sum, hn::RearrangeToOddPlusEven(even, odd));
}

// Four rows at once, so that a weight is loaded once for them. A block of 16
// bytes holds two neighbouring pixels as int16 R R' G G' B B' 0 0, and weights
// as w w' w w' w w' 0 0.
void FilterFourRows(const std::array<const uint8_t*, 4>& in,
                    const std::array<uint8_t*, 4>& out, const int* first,
                    const int* padded_count, const int16_t* weights,
                    int weights_stride, int size) {
  // From 16 bytes of row; 255 gives 0.
  HWY_ALIGN static constexpr uint8_t kPixels[32] = {
      0, 255, 3, 255, 1, 255, 4,  255, 2, 255, 5,  255, 255, 255, 255, 255,
      6, 255, 9, 255, 7, 255, 10, 255, 8, 255, 11, 255, 255, 255, 255, 255};
  // From high, high', low, low' of two pairs of pixels.
  HWY_ALIGN static constexpr uint8_t kHigh[32] = {
      0, 1, 2,  3,  0, 1, 2,  3,  0, 1, 2,  3,  255, 255, 255, 255,
      8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 255, 255, 255, 255};
  HWY_ALIGN static constexpr uint8_t kLow[32] = {
      4,  5,  6,  7,  4,  5,  6,  7,  4,  5,  6,  7,  255, 255, 255, 255,
      12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 255, 255, 255, 255};
  const Bytes d8;
  const Shorts d16;
  const hn::FixedTag<int32_t, 4> d4;
  const hn::FixedTag<uint8_t, 4> d4x8;
  constexpr int kTaps = hn::MaxLanes(Bytes()) / 8;
  const auto pixel_table = hn::Load(d8, kPixels);
  const auto high_table = hn::Load(d8, kHigh);
  const auto low_table = hn::Load(d8, kLow);

  for (int x = 0; x < size; ++x, weights += weights_stride) {
    // Named sums, because arrays of vectors may end up in memory.
    IntsV high0 = hn::Zero(Ints()), high1 = high0, high2 = high0, high3 = high0;
    IntsV low0 = high0, low1 = high0, low2 = high0, low3 = high0;
    for (int k = 0; k < padded_count[x]; k += kTaps) {
      const auto packed =
          hn::LoadDup128(d8, reinterpret_cast<const uint8_t*>(weights + 2 * k));
      const ShortsV high_weights =
          hn::BitCast(d16, hn::TableLookupBytesOr0(packed, high_table));
      const ShortsV low_weights =
          hn::BitCast(d16, hn::TableLookupBytesOr0(packed, low_table));
      const size_t at = size_t{3} * (first[x] + k);
      const auto add = [&](const uint8_t* row, IntsV& high,
                           IntsV& low) HWY_ATTR {
        const ShortsV pixels = hn::BitCast(
            d16,
            hn::TableLookupBytesOr0(hn::LoadDup128(d8, row + at), pixel_table));
        high = AddPairProducts(pixels, high_weights, high);
        low = AddPairProducts(pixels, low_weights, low);
      };
      add(in[0], high0, low0);
      add(in[1], high1, low1);
      add(in[2], high2, low2);
      add(in[3], high3, low3);
    }
    const auto finish = [&](IntsV high, IntsV low, uint8_t* row) HWY_ATTR {
      const IntsV sum = hn::Add(hn::ShiftLeft<kLowBits>(high), low);
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
      const auto total =
          hn::Add(hn::LowerHalf(d4, sum), hn::UpperHalf(d4, sum));
#else
      const auto total = sum;
#endif
      const auto rounded =
          hn::ShiftRight<kWeightBits>(hn::Add(total, hn::Set(d4, kHalf)));
      // Writes one byte too many, which the next pixel overwrites.
      hn::StoreU(hn::DemoteTo(d4x8, rounded), d4x8, row + 3 * x);
    };
    finish(high0, low0, out[0]);
    finish(high1, low1, out[1]);
    finish(high2, low2, out[2]);
    finish(high3, low3, out[3]);
  }
}

// One output row of `bytes` bytes: taps come in pairs of rows and of weights
// (high, high', low, low'). Reads and writes up to 15 bytes past the end.
void FilterColumn(const uint8_t* const* rows, const int16_t* weights, int pairs,
                  int bytes, uint8_t* out) {
  const Shorts d16;
  const Ints d32;
  const hn::Rebind<uint8_t, Shorts> d8;
  for (int x = 0; x < bytes; x += static_cast<int>(hn::Lanes(d16))) {
    IntsV high0 = hn::Zero(d32), low0 = high0, high1 = high0, low1 = high0;
    for (int pair = 0; pair < pairs; ++pair) {
      int32_t both[2];
      std::memcpy(both, weights + 4 * pair, sizeof(both));
      const ShortsV high_weights = hn::BitCast(d16, hn::Set(d32, both[0]));
      const ShortsV low_weights = hn::BitCast(d16, hn::Set(d32, both[1]));
      const ShortsV a = hn::PromoteTo(d16, hn::LoadU(d8, rows[2 * pair] + x));
      const ShortsV b =
          hn::PromoteTo(d16, hn::LoadU(d8, rows[2 * pair + 1] + x));
      const ShortsV lower = hn::InterleaveLower(d16, a, b);
      const ShortsV upper = hn::InterleaveUpper(d16, a, b);
      high0 = AddPairProducts(lower, high_weights, high0);
      low0 = AddPairProducts(lower, low_weights, low0);
      high1 = AddPairProducts(upper, high_weights, high1);
      low1 = AddPairProducts(upper, low_weights, low1);
    }
    const IntsV half = hn::Set(d32, kHalf);
    const IntsV sum0 =
        hn::Add(hn::Add(hn::ShiftLeft<kLowBits>(high0), low0), half);
    const IntsV sum1 =
        hn::Add(hn::Add(hn::ShiftLeft<kLowBits>(high1), low1), half);
    // Within each block this undoes the interleaving.
    const ShortsV values =
        hn::ReorderDemote2To(d16, hn::ShiftRight<kWeightBits>(sum0),
                             hn::ShiftRight<kWeightBits>(sum1));
    hn::StoreU(hn::DemoteTo(d8, values), d8, out + x);
  }
}

#endif  // HWY_TARGET

}  // namespace attune::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune::image {

HWY_EXPORT(FilterFourRows);
HWY_EXPORT(FilterColumn);

void FilterFourRows(const std::array<const uint8_t*, 4>& in,
                    const std::array<uint8_t*, 4>& out, const int* first,
                    const int* padded_count, const int16_t* weights,
                    int weights_stride, int size) {
  HWY_DYNAMIC_DISPATCH(FilterFourRows)
  (in, out, first, padded_count, weights, weights_stride, size);
}

void FilterColumn(const uint8_t* const* rows, const int16_t* weights, int pairs,
                  int bytes, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(FilterColumn)(rows, weights, pairs, bytes, out);
}

}  // namespace attune::image
#endif  // HWY_ONCE
