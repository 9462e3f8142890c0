// The passes of quick_gelu_pass.h on a GPU, one kernel each way, in fp32
// whatever the values' type is. Plain pointers, so that nvcc sees no LibTorch.
// In builds with kCudaKernels (cuda_kernels.h).

#ifndef ATTUNE_WORKER_MODEL_QUICK_GELU_CUDA_H_
#define ATTUNE_WORKER_MODEL_QUICK_GELU_CUDA_H_

#include <cstddef>

namespace attune::model {

enum class GpuType { kFloat, kHalf, kBfloat16 };

// `count` values of one type in the memory of the calling thread's current
// GPU, of any alignment; `out` may be one of the others.
struct GpuRun {
  GpuType type;
  const void* x;
  // The gradient that comes in; not read forward.
  const void* dy;
  void* out;
  size_t count;
};

// Both queue the kernel on a cudaStream_t and return null, or say why they
// cannot.
const char* QuickGeluCuda(const GpuRun& run, void* stream);
const char* QuickGeluGradientCuda(const GpuRun& run, void* stream);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_QUICK_GELU_CUDA_H_
