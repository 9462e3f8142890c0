#include "worker/model/quick_gelu.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "worker/model/quick_gelu_pass.h"

namespace attune::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kSlope = 1.702;
// Elements for which another thread pays.
constexpr int64_t kGrain = 32768;

void Forward(const at::Tensor& x, const at::Tensor& y) {
  const float* const in = x.const_data_ptr<float>();
  float* const out = y.data_ptr<float>();
  at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
    QuickGeluPass(in + begin, out + begin, static_cast<size_t>(end - begin));
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
    const at::Tensor dy = gradients[0].contiguous();
    const at::Tensor dx = at::empty_like(x);
    const float* const in = x.const_data_ptr<float>();
    const float* const incoming = dy.const_data_ptr<float>();
    float* const out = dx.data_ptr<float>();
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) {
      QuickGeluGradientPass(in + begin, incoming + begin, out + begin,
                            static_cast<size_t>(end - begin));
    });
    return {dx};
  }
};

}  // namespace

at::Tensor QuickGelu(at::Tensor x) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || !x.is_contiguous()) {
    return at::silu(x * kSlope) / kSlope;
  }
  if (x.requires_grad()) return Function::apply(x);
  Forward(x, x);
  return x;
}

at::Tensor PlainQuickGelu(const at::Tensor& x) {
  return x * at::sigmoid(kSlope * x);
}

}  // namespace attune::model
