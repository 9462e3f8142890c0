// What every objective starts from: f, g and s of the policy
//
//     π(y | x) = softmax over Y of  s · f(x)·g(y)
//
// Functions of this folder are pure, differentiable where the comment does not
// say otherwise, keep device and dtype of their inputs and do not check
// shapes: they throw c10::Error on a programming error.

#ifndef ATTUNE_WORKER_OBJECTIVE_SIMILARITY_H_
#define ATTUNE_WORKER_OBJECTIVE_SIMILARITY_H_

#include <ATen/core/Tensor.h>

namespace attune::objective {

// s · f gᵀ: [B, C] for f [B, D] and g [C, D], both normalised, and s [] =
// exp(logit_scale). s is not clamped: a clamp would stop its gradient at 100,
// where OpenAI's weights are.
at::Tensor Logits(const at::Tensor& f, const at::Tensor& g,
                  const at::Tensor& s);

}  // namespace attune::objective

#endif  // ATTUNE_WORKER_OBJECTIVE_SIMILARITY_H_
