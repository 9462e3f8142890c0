// Direct preference optimisation of a contrastive policy (arXiv 2305.18290 for
// DPO, 2411.08923 for its use with CLIP; label smoothing as in "cDPO",
// ericmitchell.ai/cdpo.pdf).
//
//     a = log π_θ(y_w|x') − log π_ref(y_w|x')     b = the same for y_l
//     h = a − b
//     loss = −(1−ε) log σ(β h) − ε log σ(−β h)
//
// In h the normalisers of both softmaxes cancel,
//
//     h = (l_w − l_l)_θ − (l_w − l_l)_ref,   l = s · f(x')·g(y),
//
// and it is computed in that form: loss, h and `correct` do not depend on the
// list of texts Y, a and b do. With ε > 0 the minimum is at h = ln((1−ε)/ε)/β.

#ifndef ATTUNE_WORKER_OBJECTIVE_DPO_H_
#define ATTUNE_WORKER_OBJECTIVE_DPO_H_

#include <ATen/core/Tensor.h>

namespace attune::objective {

struct DpoOptions {
  // β > 0.
  double beta = 1;
  // ε in [0, 0.5).
  double label_smoothing = 0;
};

// One value a pair, all [B].
struct DpoTerms {
  // Differentiable; the objective is its mean.
  at::Tensor loss;
  // The rest has no gradient. a, b and h of the formulas, in nats.
  at::Tensor preferred_log_ratio;
  at::Tensor rejected_log_ratio;
  at::Tensor margin;
  // Whether π_θ(y_w|x') > π_θ(y_l|x'), as 0 or 1.
  at::Tensor correct;
};

// `logits` and `reference_logits` [B, C]: images of the pairs against the same
// C texts; the reference's have no gradient. `preferred` and `rejected` [B]
// int64: column of y_w and y_l.
DpoTerms Dpo(const at::Tensor& logits, const at::Tensor& reference_logits,
             const at::Tensor& preferred, const at::Tensor& rejected,
             const DpoOptions& options);

}  // namespace attune::objective

#endif  // ATTUNE_WORKER_OBJECTIVE_DPO_H_
