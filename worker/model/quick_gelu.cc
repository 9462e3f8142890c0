#include "worker/model/quick_gelu.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "worker/model/cuda_kernels.h"
#include "worker/model/quick_gelu_cuda.h"
#include "worker/model/quick_gelu_pass.h"

namespace attune::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kSlope = 1.702;
// Elements for which another thread pays.
constexpr int64_t kGrain = 32768;

// The type's name for the kernels; nothing where they do not know it.
std::optional<GpuType> GpuTypeOf(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return GpuType::kFloat;
    case at::kHalf:
      return GpuType::kHalf;
    case at::kBFloat16:
      return GpuType::kBfloat16;
    default:
      return std::nullopt;
  }
}

// Whether one of the passes takes it as it is.
bool HasPass(const at::Tensor& x) {
  if (!x.is_contiguous()) return false;
  if (x.is_cpu()) return x.scalar_type() == at::kFloat;
  return kCudaKernels && x.is_cuda() && GpuTypeOf(x.scalar_type()).has_value();
}

void Launch(const char* (*kernel)(const GpuRun&, void*), const at::Tensor& x,
            const at::Tensor& dy, const at::Tensor& out) {
  const c10::DeviceGuard guard(x.device());
  CheckLaunch(kernel({.type = *GpuTypeOf(x.scalar_type()),
                      .x = x.const_data_ptr(),
                      .dy = dy.const_data_ptr(),
                      .out = out.data_ptr(),
                      .count = static_cast<size_t>(x.numel())},
                     CurrentStream(x.device())));
}

void Forward(const at::Tensor& x, const at::Tensor& y) {
  if constexpr (kCudaKernels) {
    if (x.is_cuda()) return Launch(QuickGeluCuda, x, x, y);
  }
  const float* const in = x.const_data_ptr<float>();
  float* const out = y.data_ptr<float>();
  at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
    QuickGeluPass(in + begin, out + begin, static_cast<size_t>(end - begin));
  });
}

void Backward(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& dx) {
  if constexpr (kCudaKernels) {
    if (x.is_cuda()) return Launch(QuickGeluGradientCuda, x, dy, dx);
  }
  const float* const in = x.const_data_ptr<float>();
  const float* const incoming = dy.const_data_ptr<float>();
  float* const out = dx.data_ptr<float>();
  at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
    QuickGeluGradientPass(in + begin, incoming + begin, out + begin,
                          static_cast<size_t>(end - begin));
  });
}

class Function : public torch::autograd::Function<Function> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    const at::Tensor y = at::empty_like(x);
    Forward(x, y);
    return y;
  }

  static variable_list backward(AutogradContext* context,
                                const variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor dx = at::empty_like(x);
    Backward(x, gradients[0].contiguous(), dx);
    return {dx};
  }
};

}  // namespace

at::Tensor QuickGelu(at::Tensor x) {
  if (!HasPass(x)) return at::silu(x * kSlope) / kSlope;
  if (x.requires_grad()) return Function::apply(x);
  Forward(x, x);
  return x;
}

at::Tensor PlainQuickGelu(const at::Tensor& x) {
  return x * at::sigmoid(kSlope * x);
}

}  // namespace attune::model
