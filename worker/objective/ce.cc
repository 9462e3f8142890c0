// Cross-entropy of the preferred text: plain fine-tuning of the zero-shot
// classifier on the images of the pairs, the baseline of arXiv 2411.08923.
//
//     loss = −log π_θ(y_w|x')
//
// There is no reference and the rejected text has no special place.

#include "worker/objective/objective.h"

namespace attune::objective {

Objective Ce(const ObjectiveValues&) {
  return PairObjective{
      .loss = [](const PairTerms& terms) { return -terms.log_preferred; },
      .uses_reference = false,
      .over_candidates = true};
}

}  // namespace attune::objective
