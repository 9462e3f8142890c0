#include "worker/train/data_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace attune::train {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): a counter with a strong mixer. The
// standard library's shuffle and distributions differ between
// implementations, and orders must not.
class Random {
 public:
  explicit Random(uint64_t state) : state_(state) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound): the values that would favour small remainders are
  // drawn again.
  uint64_t Below(uint64_t bound) {
    const uint64_t excess = -bound % bound;
    uint64_t value = Next();
    while (value < excess) value = Next();
    return value % bound;
  }

 private:
  uint64_t state_;
};

}  // namespace

std::vector<int64_t> Permutation(uint64_t seed, uint64_t stream, int64_t epoch,
                                 int64_t count) {
  uint64_t state = Random(seed).Next();
  state = Random(state ^ stream).Next();
  Random random(state ^ static_cast<uint64_t>(epoch));
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[i], order[random.Below(i + 1)]);
  }
  return order;
}

DataOrder::DataOrder(uint64_t seed, uint64_t stream, int64_t count,
                     int64_t batch_size)
    : seed_(seed),
      stream_(stream),
      count_(count),
      batch_size_(std::min(batch_size, count)) {}

absl::Span<const int64_t> DataOrder::Batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch();
  if (epoch != epoch_) {
    order_ = Permutation(seed_, stream_, epoch, count_);
    epoch_ = epoch;
  }
  return absl::MakeConstSpan(order_).subspan(
      (step % steps_per_epoch()) * batch_size_, batch_size_);
}

std::vector<int64_t> DataOrder::FirstEpoch() const {
  return Permutation(seed_, stream_, 0, count_);
}

}  // namespace attune::train
