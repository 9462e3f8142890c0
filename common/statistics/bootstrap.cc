#include "common/statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace attune::statistics {
namespace {

using Engine = std::mt19937_64;

// The quantile of values in order, between the two nearest.
double Quantile(const std::vector<double>& sorted, double probability) {
  const double at = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double share = at - static_cast<double>(below);
  return sorted[below] + share * (sorted[above] - sorted[below]);
}

Interval Percentiles(std::vector<double> values, double confidence) {
  std::sort(values.begin(), values.end());
  const double tail = (1 - confidence) / 2;
  return {Quantile(values, tail), Quantile(values, 1 - tail)};
}

// Calls `draw` once a resample and takes the percentiles of what it returns.
template <typename Draw>
Interval Resample(const BootstrapOptions& options, const Draw& draw) {
  Engine engine(options.seed);
  std::vector<double> values(static_cast<size_t>(options.resamples));
  for (double& value : values) value = draw(engine);
  return Percentiles(std::move(values), options.confidence);
}

int64_t Binomial(int64_t count, double probability, Engine& engine) {
  // The ends are exact, and no distribution is defined beyond them.
  if (count == 0 || probability <= 0) return 0;
  if (probability >= 1) return count;
  return std::binomial_distribution<int64_t>(count, probability)(engine);
}

// In [0, size), without the bias of a remainder that could be seen.
int64_t RowBelow(int64_t size, Engine& engine) {
  return static_cast<int64_t>(
      (static_cast<unsigned __int128>(engine()) *
       static_cast<unsigned __int128>(static_cast<uint64_t>(size))) >>
      64);
}

}  // namespace

Interval BootstrapShare(int64_t right, int64_t count,
                        const BootstrapOptions& options) {
  const double rows = static_cast<double>(count);
  const double share = static_cast<double>(right) / rows;
  return Resample(options, [&](Engine& engine) {
    return static_cast<double>(Binomial(count, share, engine)) / rows;
  });
}

Interval BootstrapDifference(int64_t only_first, int64_t only_second,
                             int64_t count, const BootstrapOptions& options) {
  const double rows = static_cast<double>(count);
  const int64_t differing = only_first + only_second;
  if (differing == 0) return {0, 0};
  const double differ = static_cast<double>(differing) / rows;
  const double first =
      static_cast<double>(only_first) / static_cast<double>(differing);
  return Resample(options, [&](Engine& engine) {
    const int64_t drawn = Binomial(count, differ, engine);
    const int64_t of_first = Binomial(drawn, first, engine);
    return static_cast<double>(2 * of_first - drawn) / rows;
  });
}

Interval BootstrapStatistic(
    absl::Span<const int64_t> stratum_sizes,
    absl::FunctionRef<double(absl::Span<const int64_t> rows)> statistic,
    const BootstrapOptions& options) {
  std::vector<int64_t> sample(static_cast<size_t>(
      std::accumulate(stratum_sizes.begin(), stratum_sizes.end(), int64_t{0})));
  return Resample(options, [&](Engine& engine) {
    int64_t begin = 0;
    for (const int64_t size : stratum_sizes) {
      for (int64_t i = 0; i < size; ++i) {
        sample[static_cast<size_t>(begin + i)] = begin + RowBelow(size, engine);
      }
      begin += size;
    }
    return statistic(sample);
  });
}

}  // namespace attune::statistics
