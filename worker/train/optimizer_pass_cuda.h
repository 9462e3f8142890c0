// The passes of optimizer_pass.h on a GPU: one kernel for all parameters of a
// run. Plain pointers, so that nvcc sees no LibTorch. In builds with
// kCudaKernels (worker/model/cuda_kernels.h).

#ifndef ATTUNE_WORKER_TRAIN_OPTIMIZER_PASS_CUDA_H_
#define ATTUNE_WORKER_TRAIN_OPTIMIZER_PASS_CUDA_H_

#include <cstdint>

#include "worker/train/optimizer_pass.h"

namespace attune::train {

// What one block of threads updates: `size` parameters from `offset` of the
// flat buffers, whose gradients begin at `begin` of slot `slot`'s.
struct GpuChunk {
  int64_t slot;
  int64_t begin;
  int64_t offset;
  int64_t size;
};

// Pointers are to the memory of the calling thread's current GPU. No two
// overlap; any alignment.
struct GpuParameters {
  // Flat buffers; `average` is null for none.
  float* weights;
  float* first_moment;
  float* second_moment;
  float* average;
  float average_share;
  // Chunks before this offset decay.
  int64_t decay_size;
  // Of each slot; null is a gradient of zeros.
  const float* const* gradients;
  const GpuChunk* chunks;
  int64_t chunk_count;
  // Σ g² of each chunk, before any weight decay, comes here.
  float* squares;
};

// Both queue the kernel on a cudaStream_t and return null, or say why they
// cannot. `factors` are those of parameters that decay.
const char* AdamaxCuda(const AdamaxFactors& factors,
                       const GpuParameters& parameters, void* stream);
const char* AdamwCuda(const AdamwFactors& factors,
                      const GpuParameters& parameters, void* stream);

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_OPTIMIZER_PASS_CUDA_H_
