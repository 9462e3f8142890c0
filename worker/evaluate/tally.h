#ifndef ATTUNE_WORKER_EVALUATE_TALLY_H_
#define ATTUNE_WORKER_EVALUATE_TALLY_H_

#include <cstdint>

#include "worker/evaluate/figures.h"

namespace attune::evaluate {

// How many rows count for a figure with one version, and with another.
struct Tally {
  int64_t count = 0;
  int64_t model = 0;
  int64_t against = 0;
  int64_t only_model = 0;
  int64_t only_against = 0;

  void Add(bool model_counts, bool against_counts) {
    ++count;
    model += model_counts;
    against += against_counts;
    only_model += model_counts && !against_counts;
    only_against += against_counts && !model_counts;
  }
};

inline double Share(int64_t part, int64_t count) {
  return static_cast<double>(part) / static_cast<double>(count);
}

// Adds the share as a figure, with its interval, and for two versions the
// comparison; `figure` says which one it is. Nothing without rows.
void AddFigure(Figure figure, const Tally& tally, bool compared,
               const statistics::BootstrapOptions& options, Report& report);

}  // namespace attune::evaluate

#endif  // ATTUNE_WORKER_EVALUATE_TALLY_H_
