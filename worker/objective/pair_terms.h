// What the objectives on pairs are made of, computed once for all of them:
//
//     a = log π_θ(y_w|x') − log π_ref(y_w|x')     b = the same for y_l
//     h = a − b
//
// In h the normalisers of both softmaxes cancel,
//
//     h = (l_w − l_l)_θ − (l_w − l_l)_ref,   l = s · f(x')·g(y),
//
// and it is computed in that form: h and `correct` do not depend on the list of
// texts Y, everything else does.

#ifndef ATTUNE_WORKER_OBJECTIVE_PAIR_TERMS_H_
#define ATTUNE_WORKER_OBJECTIVE_PAIR_TERMS_H_

#include <ATen/core/Tensor.h>

namespace attune::objective {

// One value a pair, [B], in nats; differentiable but for `correct`.
struct PairTerms {
  // log π_θ(y_w|x').
  at::Tensor log_preferred;
  // Undefined without the reference.
  at::Tensor a;
  at::Tensor b;
  at::Tensor h;
  // Whether π_θ(y_w|x') > π_θ(y_l|x'), as 0 or 1.
  at::Tensor correct;
  // z []: the mean KL over the clean images of the whole effective batch,
  // without gradient. Set by the caller, for objectives that use it.
  at::Tensor z;
};

// `logits` [B, C]: images of the pairs against the same C texts.
// `reference_logits`: the reference's, without gradient, or undefined.
// `preferred` and `rejected` [B] int64: column of y_w and y_l.
PairTerms MakePairTerms(const at::Tensor& logits,
                        const at::Tensor& reference_logits,
                        const at::Tensor& preferred,
                        const at::Tensor& rejected);

}  // namespace attune::objective

#endif  // ATTUNE_WORKER_OBJECTIVE_PAIR_TERMS_H_
