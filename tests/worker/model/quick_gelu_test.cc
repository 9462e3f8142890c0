#include "worker/model/quick_gelu.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace attune::model {
namespace {

double Sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

// Every magnitude that activations have, and a length that no vector divides.
at::Tensor Inputs() {
  std::vector<float> values = {0,   -0.f, 1e-30f, -1e-30f, 50,
                               -50, 88,   -88,    1e4f,    -1e4f};
  for (int i = -1000; i <= 1001; ++i) {
    values.push_back(static_cast<float>(i) / 70);
  }
  return at::tensor(values);
}

// `y` against `expected` of each x, in units of the result's size.
template <typename Function>
void ExpectValues(const at::Tensor& x, const at::Tensor& y,
                  const Function& expected, double tolerance) {
  ASSERT_EQ(x.sizes(), y.sizes());
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double in = x.data_ptr<float>()[i];
    EXPECT_NEAR(y.data_ptr<float>()[i], expected(in),
                1e-7 + tolerance * std::abs(expected(in)))
        << in;
  }
}

double Value(double x) { return x * Sigmoid(1.702 * x); }

double Slope(double x) {
  const double s = Sigmoid(1.702 * x);
  return s + 1.702 * x * s * (1 - s);
}

TEST(QuickGelu, EqualsTheFormula) {
  const at::Tensor x = Inputs();
  ExpectValues(x, QuickGelu(x.clone()), Value, 5e-7);
  ExpectValues(x, PlainQuickGelu(x), Value, 5e-7);
}

TEST(QuickGelu, GradientEqualsTheFormula) {
  const at::Tensor x = Inputs().set_requires_grad(true);
  for (const bool fused : {true, false}) {
    x.mutable_grad().reset();
    (fused ? QuickGelu(x) : PlainQuickGelu(x)).sum().backward();
    // 1 − σ is a multiple of 6e-8, and counts up to 17-fold.
    ExpectValues(x.detach(), x.grad(), Slope, 2e-6);
  }
}

TEST(QuickGelu, GradientIsScaledByTheIncomingOne) {
  const at::Tensor x = Inputs().set_requires_grad(true);
  const at::Tensor dy = at::linspace(-2, 3, x.numel());
  QuickGelu(x).backward(dy);
  const at::Tensor fused = x.grad();
  x.mutable_grad().reset();
  PlainQuickGelu(x).backward(dy);
  EXPECT_TRUE(at::allclose(fused, x.grad(), 1e-5, 1e-6));
}

// Broadcasting, as of a sum, gives a gradient without strides.
TEST(QuickGelu, TakesAGradientOfAnyStrides) {
  const at::Tensor x = at::linspace(-3, 3, 12).view({3, 4}).clone();
  x.set_requires_grad(true);
  const at::Tensor dy = at::linspace(0, 1, 12).view({4, 3}).t();
  QuickGelu(x).backward(dy);
  const at::Tensor fused = x.grad();
  x.mutable_grad().reset();
  PlainQuickGelu(x).backward(dy);
  EXPECT_TRUE(at::allclose(fused, x.grad(), 1e-5, 1e-6));
}

TEST(QuickGelu, KeepsTheInputWhereAGradientIsWanted) {
  const at::Tensor x = Inputs();
  const at::Tensor leaf = x.clone().set_requires_grad(true);
  QuickGelu(leaf * 1).sum().backward();
  EXPECT_TRUE(at::equal(leaf.detach(), x));
}

TEST(QuickGelu, ReusesTheInputsMemoryWithoutGradient) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = Inputs();
  EXPECT_EQ(QuickGelu(x).data_ptr(), x.data_ptr());
}

TEST(QuickGelu, NotANumberStaysOne) {
  at::Tensor x = at::full({5}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(at::isnan(QuickGelu(x.clone())).all().item<bool>());
  x.set_requires_grad(true);
  QuickGelu(x).sum().backward();
  EXPECT_TRUE(at::isnan(x.grad()).all().item<bool>());
}

TEST(QuickGelu, TakesOtherTypesAndStrides) {
  const at::Tensor x = at::linspace(-3, 3, 12).view({3, 4});
  EXPECT_TRUE(at::allclose(QuickGelu(x.t()), PlainQuickGelu(x).t()));
  const at::Tensor half = x.to(at::kBFloat16);
  EXPECT_EQ(QuickGelu(half).scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::allclose(QuickGelu(half).to(at::kFloat), PlainQuickGelu(x),
                           2e-2, 2e-2));
  EXPECT_EQ(QuickGelu(at::empty({0, 4})).numel(), 0);
}

}  // namespace
}  // namespace attune::model
