#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "worker/model/quick_gelu_cuda.h"

namespace attune::model {
namespace {

constexpr unsigned kThreads = 256;
// As in quick_gelu_pass.cc.
constexpr float kSlope = 1.702f;
constexpr float kLargestExponent = 87;

// What a thread reads and writes at once.
template <typename T>
struct alignas(16) Pack {
  static constexpr size_t kWidth = 16 / sizeof(T);
  T values[kWidth];
};

__device__ float Sigmoid(float z) {
  return 1 / (1 + expf(fminf(-z, kLargestExponent)));
}

struct Forward {
  static constexpr bool kReadsGradient = false;
  __device__ float operator()(float x, float) const {
    return x * Sigmoid(kSlope * x);
  }
};

struct Gradient {
  static constexpr bool kReadsGradient = true;
  __device__ float operator()(float x, float dy) const {
    const float z = kSlope * x;
    const float s = Sigmoid(z);
    return dy * s * fmaf(z, 1 - s, 1);
  }
};

template <typename Operation, typename T>
__device__ T Apply(T x, T dy) {
  return static_cast<T>(
      Operation()(static_cast<float>(x), static_cast<float>(dy)));
}

// A thread for each of `packs` at the beginning, and for each value after them.
template <typename Operation, typename T>
__global__ void __launch_bounds__(kThreads)
    Pass(const T* x, const T* dy, T* out, size_t packs, size_t count) {
  const size_t thread = size_t{blockIdx.x} * kThreads + threadIdx.x;
  if (thread < packs) {
    const Pack<T> in = reinterpret_cast<const Pack<T>*>(x)[thread];
    Pack<T> incoming = in;
    if constexpr (Operation::kReadsGradient) {
      incoming = reinterpret_cast<const Pack<T>*>(dy)[thread];
    }
    Pack<T> result;
#pragma unroll
    for (size_t i = 0; i < Pack<T>::kWidth; ++i) {
      result.values[i] = Apply<Operation>(in.values[i], incoming.values[i]);
    }
    reinterpret_cast<Pack<T>*>(out)[thread] = result;
  }
  const size_t i = packs * Pack<T>::kWidth + thread;
  if (i < count) {
    out[i] = Apply<Operation>(x[i], Operation::kReadsGradient ? dy[i] : x[i]);
  }
}

bool IsAligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % sizeof(Pack<float>) == 0;
}

template <typename Operation, typename T>
const char* Launch(const GpuRun& run, void* stream) {
  if (run.count == 0) return nullptr;
  const bool aligned = IsAligned(run.x) && IsAligned(run.out) &&
                       (!Operation::kReadsGradient || IsAligned(run.dy));
  const size_t packs = aligned ? run.count / Pack<T>::kWidth : 0;
  const size_t threads = std::max(packs, run.count - packs * Pack<T>::kWidth);
  const auto blocks =
      static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  Pass<Operation, T>
      <<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
          static_cast<const T*>(run.x), static_cast<const T*>(run.dy),
          static_cast<T*>(run.out), packs, run.count);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <typename Operation>
const char* LaunchFor(const GpuRun& run, void* stream) {
  switch (run.type) {
    case GpuType::kFloat:
      return Launch<Operation, float>(run, stream);
    case GpuType::kHalf:
      return Launch<Operation, __half>(run, stream);
    case GpuType::kBfloat16:
      return Launch<Operation, __nv_bfloat16>(run, stream);
  }
  return "unknown type of values";
}

}  // namespace

const char* QuickGeluCuda(const GpuRun& run, void* stream) {
  return LaunchFor<Forward>(run, stream);
}

const char* QuickGeluGradientCuda(const GpuRun& run, void* stream) {
  return LaunchFor<Gradient>(run, stream);
}

}  // namespace attune::model
