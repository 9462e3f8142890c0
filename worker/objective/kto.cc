// Kahneman-Tversky optimisation (arXiv 2402.01306; 2411.08923 for its use with
// CLIP): every pair is a desirable text, y_w, and an undesirable one, y_l,
// each measured against z, what the policy has moved on clean images anyway.
//
//     loss of a pair = ½ w_D (1 − σ(β (a − z))) + ½ w_U (1 − σ(β (z − b)))
//
// which is the mean over the 2B terms of a batch. z has no gradient. 1 − σ(v)
// is computed as σ(−v).

#include <ATen/ops/sigmoid.h>

#include "worker/objective/objective.h"

namespace attune::objective {

Objective Kto(const ObjectiveValues& options) {
  const double beta = options.at("beta");
  const double desirable = options.at("desirable_weight");
  const double undesirable = options.at("undesirable_weight");
  return PairObjective{
      .loss =
          [=](const PairTerms& terms) {
            return 0.5 *
                   (desirable * at::sigmoid(beta * (terms.z - terms.a)) +
                    undesirable * at::sigmoid(beta * (terms.b - terms.z)));
          },
      .uses_reference = true,
      .over_candidates = true,
      .uses_clean_kl = true};
}

}  // namespace attune::objective
