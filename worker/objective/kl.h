// The regulariser of arXiv 2411.08923: how far the policy has moved from the
// reference on images whose behaviour must stay.
//
//     KL(π_ref ‖ π_θ)(x) = Σ_y π_ref(y|x) · (log π_ref(y|x) − log π_θ(y|x))

#ifndef ATTUNE_WORKER_OBJECTIVE_KL_H_
#define ATTUNE_WORKER_OBJECTIVE_KL_H_

#include <ATen/core/Tensor.h>

namespace attune::objective {

// KL per image [B], in nats, of `logits` and `reference_logits` [B, C] over
// the same C candidates. Differentiable in `logits` alone.
at::Tensor Kl(const at::Tensor& logits, const at::Tensor& reference_logits);

}  // namespace attune::objective

#endif  // ATTUNE_WORKER_OBJECTIVE_KL_H_
