// Direct preference optimisation of a contrastive policy (arXiv 2305.18290 for
// DPO, 2411.08923 for its use with CLIP; label smoothing as in "cDPO",
// ericmitchell.ai/cdpo.pdf).
//
//     loss = −(1−ε) log σ(β h) − ε log σ(−β h)
//
// With ε > 0 the minimum is at h = ln((1−ε)/ε)/β.

#include <ATen/ops/log_sigmoid.h>

#include "worker/objective/objective.h"

namespace attune::objective {

Objective Dpo(const ObjectiveValues& options) {
  const double beta = options.at("beta");
  const double smoothing = options.at("label_smoothing");
  return PairObjective{.loss = [=](const PairTerms& terms) {
    const at::Tensor loss = -(1 - smoothing) * at::log_sigmoid(beta * terms.h);
    if (smoothing == 0) return loss;
    return loss - smoothing * at::log_sigmoid(-beta * terms.h);
  }};
}

}  // namespace attune::objective
