// QuickGELU, x·σ(1.702 x): the activation of OpenAI's CLIP.

#ifndef ATTUNE_WORKER_MODEL_QUICK_GELU_H_
#define ATTUNE_WORKER_MODEL_QUICK_GELU_H_

#include <ATen/core/Tensor.h>

namespace attune::model {

// One pass forward and one backward, which keeps x alone for the backward: on
// the CPU in fp32, on a GPU (with kCudaKernels) in fp32, fp16 and bf16.
// Elsewhere silu(1.702 x) / 1.702. Where x does not require a gradient its
// memory may become the result's: the caller gives it up.
at::Tensor QuickGelu(at::Tensor x);

// By stock operators; its counterpart in tests.
at::Tensor PlainQuickGelu(const at::Tensor& x);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_QUICK_GELU_H_
