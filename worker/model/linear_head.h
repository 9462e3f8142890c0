// The linear transformation of arXiv 2411.08923, section 5, and its knob: both
// towers stay as they are, and one matrix W [D, D] is learned on top of both,
//
//     logits = s · ⟨W f(x), W g(y)⟩ = s · f(x)ᵀ WᵀW g(y),   not re-normalised.
//
// With W = U S Vᵀ a version serves  f(x)ᵀ V S^(2t) Vᵀ g(y):  t = 0 is the base,
// t = 1 what was trained. It stores V and S, and the base's tensors.

#ifndef ATTUNE_WORKER_MODEL_LINEAR_HEAD_H_
#define ATTUNE_WORKER_MODEL_LINEAR_HEAD_H_

#include <ATen/core/Tensor.h>

#include "worker/model/clip.h"

namespace attune::model {

// W in a run; V and S of a version have the names of clip_layout.h.
inline constexpr char kHeadWeight[] = "head.weight";

// Singular values are at least this: a smaller one would cut a direction off
// for good, and explode for t < 0.
inline constexpr double kLeastSingularValue = 1e-3;

// ‖I − W Wᵀ‖_F [], with an epsilon under the root: without it the gradient at
// an orthogonal W, where every run starts, would be NaN.
at::Tensor HeadPenalty(const at::Tensor& w);

// `tensors` with kHeadWeight replaced by V and S of it.
Tensors WithFactors(Tensors tensors);

bool HasHead(const Tensors& tensors);

// V Sᵗ Vᵀ of each row [N, D]. The rows as they are for t = 0 and for tensors
// without a head.
at::Tensor ApplyHead(const Tensors& tensors, const at::Tensor& embeddings,
                     double t);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_LINEAR_HEAD_H_
