// Bootstrap intervals (Efron, 1979): how much a statistic of a sample would
// vary if the sample were drawn again, estimated by drawing rows from it with
// replacement. Percentile intervals; quantiles interpolate linearly.
//
// Every function is a function of its arguments alone: the same build gives
// the same interval for the same seed. Thread-safe.

#ifndef ATTUNE_COMMON_STATISTICS_BOOTSTRAP_H_
#define ATTUNE_COMMON_STATISTICS_BOOTSTRAP_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace attune::statistics {

struct Interval {
  double low = 0;
  double high = 0;

  friend bool operator==(const Interval&, const Interval&) = default;
};

struct BootstrapOptions {
  int resamples = 2'000;
  double confidence = 0.95;
  uint64_t seed = 0;
};

// Of a share: `right` of `count` rows. Resampled rows that are right or wrong
// make a binomial number of right ones, which is drawn as such.
// REQUIRES: 0 <= right <= count, count > 0.
Interval BootstrapShare(int64_t right, int64_t count,
                        const BootstrapOptions& options);

// Of the difference of two shares over the same rows, which are resampled in
// pairs: only the rows that count for one of them matter, and how many of each
// kind a resample has is a multinomial number.
// REQUIRES: only_first, only_second >= 0, their sum <= count, count > 0.
Interval BootstrapDifference(int64_t only_first, int64_t only_second,
                             int64_t count, const BootstrapOptions& options);

// Of any statistic. The rows are numbered stratum after stratum, and every
// stratum, of the sizes given, is resampled apart. `statistic` gets a
// resample, as many rows as there are, and is called once for each.
// REQUIRES: every size > 0.
Interval BootstrapStatistic(
    absl::Span<const int64_t> stratum_sizes,
    absl::FunctionRef<double(absl::Span<const int64_t> rows)> statistic,
    const BootstrapOptions& options);

}  // namespace attune::statistics

#endif  // ATTUNE_COMMON_STATISTICS_BOOTSTRAP_H_
