#include "client/drawing/random.h"

#include <algorithm>
#include <cmath>

namespace attune::client {

double Random::Uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
}

int Random::Index(int count) {
  return std::min(count - 1, static_cast<int>(Uniform(0, count)));
}

double Random::Normal() {  // Box-Muller
  const double radius = std::sqrt(-2 * std::log(1 - Uniform(0, 1)));
  return radius * std::cos(Uniform(0, 2 * M_PI));
}

uint64_t MixSeed(uint64_t seed, uint64_t index) {  // SplitMix64's finaliser
  uint64_t z = seed * 0x9E3779B97F4A7C15u + index + 0x632BE59BD9B4E019u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace attune::client
