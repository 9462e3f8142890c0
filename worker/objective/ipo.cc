// Identity preference optimisation (arXiv 2310.12036, equation 17; 2411.08923
// for its use with CLIP).
//
//     loss = (h − 1/(2β))²
//
// Where DPO pushes a pair apart for ever, h has a target: 1/(2β).

#include "worker/objective/objective.h"

namespace attune::objective {

Objective Ipo(const ObjectiveValues& options) {
  const double target = 1 / (2 * options.at("beta"));
  return PairObjective{.loss = [=](const PairTerms& terms) {
    return (terms.h - target).square();
  }};
}

}  // namespace attune::objective
