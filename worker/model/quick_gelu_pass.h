// The arithmetic of QuickGELU, y = x·σ(cx) with c = 1.702, in one pass over
// memory. SIMD by Highway: the instruction set is chosen when the program runs.

#ifndef ATTUNE_WORKER_MODEL_QUICK_GELU_PASS_H_
#define ATTUNE_WORKER_MODEL_QUICK_GELU_PASS_H_

#include <cstddef>

namespace attune::model {

// y of `count` values; `y` may be `x`.
void QuickGeluPass(const float* x, float* y, size_t count);

// dx = dy · σ(cx) (1 + cx (1 − σ(cx))); `dx` may be `dy` or `x`.
void QuickGeluGradientPass(const float* x, const float* dy, float* dx,
                           size_t count);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_QUICK_GELU_PASS_H_
