// QuickGELU on a GPU against the same on the CPU.

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <limits>
#include <tuple>

#include "gtest/gtest.h"
#include "worker/model/cuda_kernels.h"
#include "worker/model/quick_gelu.h"

namespace attune::model {
namespace {

class QuickGeluOnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "no GPU that this build can use";
  }
};

struct Results {
  at::Tensor y, dx;
};

// Both ways in the tensors' type, where they lie, as fp32 on the CPU.
Results Compute(const at::Tensor& x, const at::Tensor& dy) {
  const at::Tensor leaf = x.detach().set_requires_grad(true);
  const at::Tensor y = QuickGelu(leaf);
  y.backward(dy);
  return {y.detach().to(at::kCPU, at::kFloat),
          leaf.grad().to(at::kCPU, at::kFloat)};
}

// Every magnitude that activations have, first and last where kernels treat
// values in packs.
at::Tensor Inputs(int64_t count) {
  const at::Tensor x = at::linspace(-15, 15, count);
  x.narrow(0, 0, 8).copy_(
      at::tensor({0.f, -0.f, 1e-30f, -1e-30f, 50.f, -50.f, 1e4f, -1e4f}));
  return x;
}

// Type, number of values, values to leave out at the beginning of the memory.
using Case = std::tuple<at::ScalarType, int64_t, int64_t>;

class QuickGeluKernel : public QuickGeluOnGpu,
                        public testing::WithParamInterface<Case> {};

TEST_P(QuickGeluKernel, EqualsTheCpuInBothDirections) {
  if (!kCudaKernels) GTEST_SKIP() << "built without kernels";
  const auto [type, count, skipped] = GetParam();
  const at::Tensor x = Inputs(count + skipped).to(type);
  const at::Tensor dy = at::linspace(-2, 3, count + skipped).to(type);
  const auto on = [&, skip = skipped](const at::Tensor& tensor,
                                      at::Device device, at::ScalarType as) {
    return tensor.to(device, as).narrow(0, skip, tensor.numel() - skip);
  };
  const Results expected =
      Compute(on(x, at::kCPU, at::kFloat), on(dy, at::kCPU, at::kFloat));
  const Results found =
      Compute(on(x, at::kCUDA, type), on(dy, at::kCUDA, type));
  // fp16 has 11 bits, bf16 8.
  const double relative = type == at::kFloat  ? 2e-6
                          : type == at::kHalf ? 1e-3
                                              : 8e-3;
  EXPECT_TRUE(at::allclose(found.y, expected.y, relative, 1e-6))
      << (found.y - expected.y).abs().max();
  EXPECT_TRUE(at::allclose(found.dx, expected.dx, relative, 1e-6))
      << (found.dx - expected.dx).abs().max();
}

INSTANTIATE_TEST_SUITE_P(
    Runs, QuickGeluKernel,
    testing::Combine(testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                     // Whole packs, and some values over; more than a block.
                     testing::Values(64, 67, 100'003),
                     // Aligned, and not.
                     testing::Values(0, 1)));

// Only the kernel does: stock operators give new memory.
TEST_F(QuickGeluOnGpu, ReusesTheInputsMemoryWithoutGradient) {
  if (!kCudaKernels) GTEST_SKIP() << "built without kernels";
  const at::NoGradGuard no_grad;
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const at::Tensor x = Inputs(1000).to(at::kCUDA, type);
    const at::Tensor expected = PlainQuickGelu(x.to(at::kCPU, at::kFloat));
    const at::Tensor y = QuickGelu(x);
    EXPECT_EQ(y.data_ptr(), x.data_ptr());
    EXPECT_TRUE(at::allclose(y.to(at::kCPU, at::kFloat), expected, 8e-3, 1e-6));
  }
}

TEST_F(QuickGeluOnGpu, TakesAnyTypeAndStrides) {
  const at::Tensor x = at::linspace(-3, 3, 12, at::kCUDA).view({3, 4});
  EXPECT_TRUE(at::allclose(QuickGelu(x.t()), PlainQuickGelu(x).t()));
  const at::Tensor wide = x.to(at::kDouble);
  EXPECT_TRUE(at::allclose(QuickGelu(wide), PlainQuickGelu(wide)));
  EXPECT_EQ(QuickGelu(at::empty({0, 4}, at::kCUDA)).numel(), 0);
}

TEST_F(QuickGeluOnGpu, NotANumberStaysOne) {
  const at::Tensor x =
      at::full({5}, std::numeric_limits<float>::quiet_NaN(), at::kCUDA);
  const Results results = Compute(x, at::ones_like(x));
  EXPECT_TRUE(at::isnan(results.y).all().item<bool>());
  EXPECT_TRUE(at::isnan(results.dx).all().item<bool>());
}

}  // namespace
}  // namespace attune::model
