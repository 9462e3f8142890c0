#ifndef ATTUNE_CLIENT_DRAWING_RANDOM_H_
#define ATTUNE_CLIENT_DRAWING_RANDOM_H_

#include <cstdint>
#include <random>

namespace attune::client {

// Draws the same numbers on every platform, which the distributions of
// <random> do not promise. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Bits() { return engine_(); }
  // In [low, high).
  double Uniform(double low, double high);
  // In [0, count). REQUIRES: count > 0.
  int Index(int count);
  // Of mean 0 and deviation 1.
  double Normal();

 private:
  std::mt19937_64 engine_;
};

// A seed for item `index` of series `seed`, well apart from all others.
uint64_t MixSeed(uint64_t seed, uint64_t index);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_DRAWING_RANDOM_H_
