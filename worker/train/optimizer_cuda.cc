// The optimizer's step on a GPU. In builds with kCudaKernels.

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/DeviceGuard.h>

#include <vector>

#include "worker/model/cuda_kernels.h"
#include "worker/model/upload.h"
#include "worker/train/optimizer.h"
#include "worker/train/optimizer_pass_cuda.h"

namespace attune::train {

double Optimizer::CudaStep(const OptimizerStep& step) {
  const at::Tensor& flat = parameters_->flat();
  const at::Device device = flat.device();
  const c10::DeviceGuard guard(device);
  const auto& slots = parameters_->slots();
  if (!gpu_chunks_.defined()) {
    std::vector<int64_t> fields;
    for (const Chunk& chunk : chunks_) {
      fields.insert(fields.end(),
                    {static_cast<int64_t>(chunk.slot), chunk.begin,
                     slots[chunk.slot].offset + chunk.begin, chunk.size});
    }
    gpu_chunks_ = model::Upload(at::tensor(fields, at::kLong), device);
  }
  // Autograd puts gradients where it likes, so the kernel gets a table of them.
  // Copies live until the kernel is queued: memory that is freed here is given
  // only to what the GPU does after it.
  std::vector<at::Tensor> gradients;
  std::vector<int64_t> addresses;
  for (const auto& slot : slots) {
    const at::Tensor& gradient = slot.view.grad();
    if (gradient.defined()) gradients.push_back(gradient.contiguous());
    addresses.push_back(
        gradient.defined()
            ? reinterpret_cast<int64_t>(gradients.back().const_data_ptr())
            : 0);
  }
  const at::Tensor table =
      model::Upload(at::tensor(addresses, at::kLong), device);
  const at::Tensor squares =
      at::empty({static_cast<int64_t>(chunks_.size())}, flat.options());
  const GpuParameters parameters = {
      .weights = flat.data_ptr<float>(),
      .first_moment = first_moment_.data_ptr<float>(),
      .second_moment = second_moment_.data_ptr<float>(),
      .average =
          step.average.defined() ? step.average.data_ptr<float>() : nullptr,
      .average_share = static_cast<float>(step.average_share),
      .decay_size = parameters_->decay_size(),
      .gradients = static_cast<const float* const*>(table.const_data_ptr()),
      .chunks = static_cast<const GpuChunk*>(gpu_chunks_.const_data_ptr()),
      .chunk_count = static_cast<int64_t>(chunks_.size()),
      .squares = squares.data_ptr<float>()};
  void* const stream = model::CurrentStream(device);
  const double decay = options_.weight_decay;
  model::CheckLaunch(
      options_.kind == OptimizerOptions::Kind::kAdamax
          ? AdamaxCuda({options_.beta1, options_.beta2, options_.epsilon, decay,
                        StepSize(step)},
                       parameters, stream)
          : AdamwCuda({options_.beta1, options_.beta2, options_.epsilon,
                       1 - step.learning_rate * decay, StepSize(step),
                       SecondMomentScale(step)},
                      parameters, stream));
  return squares.sum(at::kDouble).sqrt().item<double>();
}

}  // namespace attune::train
