#ifndef ATTUNE_COMMON_STATISTICS_MCNEMAR_H_
#define ATTUNE_COMMON_STATISTICS_MCNEMAR_H_

#include <cstdint>

namespace attune::statistics {

// McNemar's exact test (two-sided) of two classifiers on the same rows, of
// which `only_first` are right with the first alone and `only_second` with the
// second alone. If the two were equally good, the rows on which they differ
// would fall to either side like tosses of a fair coin:
//   p = min(1, 2 · P[Binomial(only_first + only_second, 1/2) ≤ the smaller])
// 1 when they never differ. REQUIRES: neither is negative.
double McNemarExact(int64_t only_first, int64_t only_second);

}  // namespace attune::statistics

#endif  // ATTUNE_COMMON_STATISTICS_MCNEMAR_H_
