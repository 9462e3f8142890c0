// What launching a CUDA kernel of our own takes. Only .cu files see CUDA's
// headers; a build without CUDA compiles all the rest too.

#ifndef ATTUNE_WORKER_MODEL_CUDA_KERNELS_H_
#define ATTUNE_WORKER_MODEL_CUDA_KERNELS_H_

#include <ATen/core/Tensor.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

namespace attune::model {

// Whether this build has them. Without, tensors on a GPU take stock operators.
#ifdef ATTUNE_CUDA_KERNELS
inline constexpr bool kCudaKernels = true;
#else
inline constexpr bool kCudaKernels = false;
#endif

// The cudaStream_t that the calling thread's work on a GPU goes to.
inline void* CurrentStream(const at::Device& device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return guard.getStreamNativeHandle(guard.getStream(device));
}

// Throws LibTorch's error for what a launch returned, unless it is null.
inline void CheckLaunch(const char* error) {
  TORCH_CHECK(error == nullptr, "CUDA error: ", error);
}

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_CUDA_KERNELS_H_
