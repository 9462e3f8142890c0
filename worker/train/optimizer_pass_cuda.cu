#include <cuda_runtime.h>

#include "worker/train/optimizer_pass_cuda.h"

namespace attune::train {
namespace {

constexpr int kWarp = 32;
constexpr int kThreads = 256;
// Values that a thread reads before it writes one: reads on their way hide the
// memory's latency.
constexpr int kAtATime = 4;

// The rules of optimizer_pass.cc, operation by operation.
struct Adamax {
  explicit Adamax(const AdamaxFactors& f)
      : beta1(static_cast<float>(f.beta1)),
        rest1(static_cast<float>(1 - f.beta1)),
        beta2(static_cast<float>(f.beta2)),
        epsilon(static_cast<float>(f.epsilon)),
        weight_decay(static_cast<float>(f.weight_decay)),
        step_size(static_cast<float>(f.step_size)) {}

  __device__ void Update(bool decays, float& theta, float g, float& m,
                         float& u) const {
    g = fmaf(decays ? weight_decay : 0, theta, g);
    m = fmaf(beta1, m, rest1 * g);
    u = fmaxf(beta2 * u, fabsf(g) + epsilon);
    theta = fmaf(-step_size, m / u, theta);
  }

  float beta1, rest1, beta2, epsilon, weight_decay, step_size;
};

struct Adamw {
  explicit Adamw(const AdamwFactors& f)
      : beta1(static_cast<float>(f.beta1)),
        rest1(static_cast<float>(1 - f.beta1)),
        beta2(static_cast<float>(f.beta2)),
        rest2(static_cast<float>(1 - f.beta2)),
        epsilon(static_cast<float>(f.epsilon)),
        kept(static_cast<float>(f.kept)),
        step_size(static_cast<float>(f.step_size)),
        v_scale(static_cast<float>(f.v_scale)) {}

  __device__ void Update(bool decays, float& theta, float g, float& m,
                         float& v) const {
    m = fmaf(beta1, m, rest1 * g);
    v = fmaf(beta2, v, rest2 * (g * g));
    const float denominator = fmaf(sqrtf(v), v_scale, epsilon);
    theta = fmaf(-step_size, m / denominator, decays ? kept * theta : theta);
  }

  float beta1, rest1, beta2, rest2, epsilon, kept, step_size, v_scale;
};

// Σ of the block's values, in the first thread; always in the same order.
__device__ float BlockSum(float value) {
  __shared__ float of_warp[kThreads / kWarp];
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_down_sync(0xffffffffU, value, distance);
  }
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  float sum = 0;
  if (threadIdx.x == 0) {
    for (float part : of_warp) sum += part;
  }
  return sum;
}

// What a thread has of the flat buffers at one place.
struct Value {
  float theta, g, first, second, average;
};

template <typename Rule>
__global__ void __launch_bounds__(kThreads)
    Update(const Rule rule, const GpuParameters parameters) {
  const GpuChunk chunk = parameters.chunks[blockIdx.x];
  const bool decays = chunk.offset < parameters.decay_size;
  const float* const slot_gradients = parameters.gradients[chunk.slot];
  const float* const gradients =
      slot_gradients == nullptr ? nullptr : slot_gradients + chunk.begin;
  float* const weights = parameters.weights + chunk.offset;
  float* const first = parameters.first_moment + chunk.offset;
  float* const second = parameters.second_moment + chunk.offset;
  float* const average = parameters.average == nullptr
                             ? nullptr
                             : parameters.average + chunk.offset;
  const int size = static_cast<int>(chunk.size);
  float squares = 0;
  for (int begin = static_cast<int>(threadIdx.x); begin < size;
       begin += kThreads * kAtATime) {
    Value values[kAtATime] = {};
#pragma unroll
    for (int j = 0; j < kAtATime; ++j) {
      const int i = begin + j * kThreads;
      if (i >= size) continue;
      values[j] = {weights[i], gradients == nullptr ? 0 : gradients[i],
                   first[i], second[i], average == nullptr ? 0 : average[i]};
    }
#pragma unroll
    for (int j = 0; j < kAtATime; ++j) {
      const int i = begin + j * kThreads;
      if (i >= size) continue;
      Value& value = values[j];
      rule.Update(decays, value.theta, value.g, value.first, value.second);
      weights[i] = value.theta;
      first[i] = value.first;
      second[i] = value.second;
      if (average != nullptr) {
        average[i] = fmaf(parameters.average_share, value.theta - value.average,
                          value.average);
      }
      squares = fmaf(value.g, value.g, squares);
    }
  }
  squares = BlockSum(squares);
  if (threadIdx.x == 0) parameters.squares[blockIdx.x] = squares;
}

template <typename Rule>
const char* Launch(const Rule& rule, const GpuParameters& parameters,
                   void* stream) {
  if (parameters.chunk_count == 0) return nullptr;
  Update<<<static_cast<unsigned>(parameters.chunk_count), kThreads, 0,
           static_cast<cudaStream_t>(stream)>>>(rule, parameters);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace

const char* AdamaxCuda(const AdamaxFactors& factors,
                       const GpuParameters& parameters, void* stream) {
  return Launch(Adamax(factors), parameters, stream);
}

const char* AdamwCuda(const AdamwFactors& factors,
                      const GpuParameters& parameters, void* stream) {
  return Launch(Adamw(factors), parameters, stream);
}

}  // namespace attune::train
