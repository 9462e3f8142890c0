#include "common/image/resample.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/image/resample_kernels.h"

namespace attune::image {
namespace {

// The weights of a filter as the vectors take them.
struct PackedWeights {
  explicit PackedWeights(const AxisFilter& filter)
      : stride(2 * ((filter.stride + 3) / 4 * 4)),
        values(static_cast<size_t>(stride) * filter.size() + kKernelSlack) {
    for (int i = 0; i < filter.size(); ++i) {
      padded_count.push_back((filter.count[i] + 3) / 4 * 4);
      int16_t* position = &values[static_cast<size_t>(stride) * i];
      for (int k = 0; k < filter.count[i]; ++k) {
        const int32_t weight = filter.weights_of(i)[k];
        int16_t* pair = position + 4 * (k / 2);
        pair[k % 2] = static_cast<int16_t>(weight >> 8);
        pair[2 + k % 2] = static_cast<int16_t>(weight & 255);
      }
    }
  }

  int stride;                     // Values of a position.
  std::vector<int> padded_count;  // Multiples of four.
  std::vector<int16_t> values;
};

// The rows between the two passes, computed when the vertical filter gets
// there and kept in a ring as long as it needs them, so that they stay in the
// nearest cache.
class HorizontalPass {
 public:
  HorizontalPass(const RgbImage& image, const AxisFilter& filter,
                 const AxisFilter& vertical)
      : image_(image),
        filter_(filter),
        weights_(filter),
        next_(vertical.first.front()),
        // A row's readers, and three more because four are made at once.
        capacity_(vertical.stride + 3),
        stride_(size_t{3} * filter.size() + kKernelSlack),
        ring_(stride_ * capacity_) {
    for (int i = 0; i < filter.size(); ++i) {
      const int read = filter.first[i] + weights_.padded_count[i];
      reach_ = std::max(reach_, size_t{3} * read + kKernelSlack);
    }
    copies_.resize(4 * std::max(reach_, size_t{3} * image.width));
  }

  const uint8_t* row(int y) const { return &ring_[stride_ * (y % capacity_)]; }

  // Computes the rows below `end` that are still missing.
  void ComputeUntil(int end) {
    for (; next_ < end; next_ += 4) {
      std::array<const uint8_t*, 4> in;
      std::array<uint8_t*, 4> out;
      for (int i = 0; i < 4; ++i) {
        // Past the image's end the last row is done again.
        const int y = std::min(next_ + i, image_.height - 1);
        in[i] = Readable(y, i);
        out[i] = &ring_[stride_ * (y % capacity_)];
      }
      FilterFourRows(in, out, filter_.first.data(),
                     weights_.padded_count.data(), weights_.values.data(),
                     weights_.stride, filter_.size());
    }
  }

 private:
  // Row `y`, as a copy with slack where vectors would read past the pixels.
  const uint8_t* Readable(int y, int slot) {
    const uint8_t* row = image_.row(y);
    const uint8_t* end = image_.pixels.data() + image_.pixels.size();
    if (reach_ <= static_cast<size_t>(end - row)) return row;
    uint8_t* copy = &copies_[copies_.size() / 4 * slot];
    std::memcpy(copy, row, size_t{3} * image_.width);
    return copy;
  }

  const RgbImage& image_;
  const AxisFilter& filter_;
  const PackedWeights weights_;
  int next_;
  const int capacity_;
  const size_t stride_;
  std::vector<uint8_t> ring_;
  size_t reach_ = 0;  // How far from a row's start the vectors read.
  std::vector<uint8_t> copies_;
};

}  // namespace

std::vector<uint8_t> Resample(const RgbImage& image,
                              const AxisFilter& horizontal,
                              const AxisFilter& vertical) {
  HorizontalPass rows(image, horizontal, vertical);
  const PackedWeights packed(vertical);
  const size_t row_bytes = size_t{3} * horizontal.size();
  std::vector<uint8_t> out(row_bytes * vertical.size() + kKernelSlack);
  std::vector<const uint8_t*> taps(packed.stride / 2);
  for (int i = 0; i < vertical.size(); ++i) {
    const int count = vertical.count[i];
    rows.ComputeUntil(vertical.first[i] + count);
    for (int k = 0; k < packed.padded_count[i]; ++k) {
      // Rows past the count have weight 0.
      taps[k] = rows.row(vertical.first[i] + std::min(k, count - 1));
    }
    FilterColumn(
        taps.data(), &packed.values[static_cast<size_t>(packed.stride) * i],
        (count + 1) / 2, static_cast<int>(row_bytes), &out[row_bytes * i]);
  }
  out.resize(row_bytes * vertical.size());
  return out;
}

}  // namespace attune::image
