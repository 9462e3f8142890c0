#include "worker/train/optimizer.h"

#include <torch/optim/adamw.h>

#include <cmath>
#include <random>

#include "gtest/gtest.h"
#include "worker/train/beta_average.h"
#include "worker/train/optimizer_pass.h"

namespace attune::train {
namespace {

constexpr int kSteps = 25;
constexpr double kRate = 1e-2;

// Sizes that are not multiples of a vector, one longer than a chunk.
model::Tensors Base() {
  at::manual_seed(3);
  return {{"a.weight", at::randn({7, 13})},
          {"a.bias", at::randn({13})},
          {"token_embedding.weight", at::randn({130, 101})},
          {"logit_scale", at::scalar_tensor(4.6f)}};
}

// The gradient of a tensor at a step, the same for every implementation.
at::Tensor Gradient(size_t slot, int step, const at::Tensor& like) {
  std::mt19937 generator(static_cast<unsigned>(1000 * slot + step));
  std::normal_distribution<float> normal(0, 0.1f);
  at::Tensor gradient = at::empty_like(like, like.options());
  float* values = gradient.data_ptr<float>();
  for (int64_t i = 0; i < gradient.numel(); ++i) values[i] = normal(generator);
  return gradient;
}

void SetGradients(FlatParameters& parameters, int step) {
  for (size_t slot = 0; slot < parameters.slots().size(); ++slot) {
    at::Tensor view = parameters.slots()[slot].view;
    view.mutable_grad() = Gradient(slot, step, view.detach());
  }
}

double RateAt(int step) { return kRate * (1 - 0.02 * step); }

// Weights of every slot after kSteps, from the textbook loops in double.
std::vector<std::vector<double>> PlainRun(const OptimizerOptions& options,
                                          const FlatParameters& start,
                                          std::vector<double>* averages) {
  std::vector<std::vector<double>> result;
  for (size_t slot = 0; slot < start.slots().size(); ++slot) {
    const at::Tensor view = start.slots()[slot].view.detach().clone();
    const int64_t size = view.numel();
    std::vector<double> theta(view.data_ptr<float>(),
                              view.data_ptr<float>() + size);
    std::vector<double> m(size), second(size), average = theta;
    const double decay =
        start.slots()[slot].name == "a.weight" ? options.weight_decay : 0;
    BetaAverage beta(kSteps);
    for (int step = 0; step < kSteps; ++step) {
      const at::Tensor gradient = Gradient(slot, step, view);
      const double rate = RateAt(step);
      const double share = beta.NextShare();
      const double bias1 = 1 - std::pow(options.beta1, step + 1);
      const double bias2 = 1 - std::pow(options.beta2, step + 1);
      for (int64_t i = 0; i < size; ++i) {
        double g = gradient.data_ptr<float>()[i];
        if (options.kind == OptimizerOptions::Kind::kAdamax) {
          g += decay * theta[i];
          m[i] = options.beta1 * m[i] + (1 - options.beta1) * g;
          second[i] = std::max(options.beta2 * second[i],
                               std::abs(g) + options.epsilon);
          theta[i] -= rate / bias1 * m[i] / second[i];
        } else {
          theta[i] -= rate * decay * theta[i];
          m[i] = options.beta1 * m[i] + (1 - options.beta1) * g;
          second[i] = options.beta2 * second[i] + (1 - options.beta2) * g * g;
          theta[i] -= rate * (m[i] / bias1) /
                      (std::sqrt(second[i] / bias2) + options.epsilon);
        }
        average[i] += share * (theta[i] - average[i]);
      }
    }
    averages->insert(averages->end(), average.begin(), average.end());
    result.push_back(theta);
  }
  return result;
}

struct Case {
  OptimizerOptions options;
  Optimizer::Path path;
};

class OptimizerFormula : public testing::TestWithParam<Case> {};

TEST_P(OptimizerFormula, WeightsAndAverageEqualAPlainLoopInDouble) {
  FlatParameters parameters = *FlatParameters::Create(Base(), {});
  std::vector<double> averages;
  const auto expected = PlainRun(GetParam().options, parameters, &averages);

  Optimizer optimizer(GetParam().options, &parameters, GetParam().path);
  at::Tensor average = parameters.flat().clone();
  BetaAverage beta(kSteps);
  for (int step = 0; step < kSteps; ++step) {
    SetGradients(parameters, step);
    optimizer.Step({step + 1, RateAt(step), average, beta.NextShare()});
  }
  size_t at = 0;
  for (size_t slot = 0; slot < expected.size(); ++slot) {
    const at::Tensor weights =
        parameters.slots()[slot].view.detach().reshape({-1});
    const at::Tensor mean =
        FlatParameters::View(average, parameters.slots()[slot]).reshape({-1});
    for (size_t i = 0; i < expected[slot].size(); ++i) {
      ASSERT_NEAR(weights.data_ptr<float>()[i], expected[slot][i], 2e-6);
      ASSERT_NEAR(mean.data_ptr<float>()[i], averages[at++], 2e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OptimizerFormula,
    testing::Values(
        Case{OptimizerOptions::Adamax(), Optimizer::Path::kFused},
        Case{OptimizerOptions::Adamax(0.1), Optimizer::Path::kFused},
        Case{OptimizerOptions::Adamw(0.05), Optimizer::Path::kFused},
        Case{OptimizerOptions::Adamax(0.1), Optimizer::Path::kOperators},
        Case{OptimizerOptions::Adamw(0.05), Optimizer::Path::kOperators}));

TEST(Optimizer, AdamwEqualsTorchs) {
  FlatParameters parameters = *FlatParameters::Create(Base(), {});
  Optimizer optimizer(OptimizerOptions::Adamw(0.05), &parameters);
  std::vector<at::Tensor> theirs;
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (const auto& slot : parameters.slots()) {
    theirs.push_back(slot.view.detach().clone().set_requires_grad(true));
    groups.push_back(torch::optim::OptimizerParamGroup(
        {theirs.back()}, std::make_unique<torch::optim::AdamWOptions>(
                             torch::optim::AdamWOptions(kRate)
                                 .betas({0.9, 0.98})
                                 .eps(1e-6)
                                 .weight_decay(slot.decays ? 0.05 : 0))));
  }
  torch::optim::AdamW reference(groups);
  for (int step = 0; step < kSteps; ++step) {
    SetGradients(parameters, step);
    for (size_t slot = 0; slot < theirs.size(); ++slot) {
      theirs[slot].mutable_grad() = parameters.slots()[slot].view.grad();
    }
    optimizer.Step({step + 1, kRate, {}, 0});
    reference.step();
  }
  for (size_t slot = 0; slot < theirs.size(); ++slot) {
    EXPECT_TRUE(
        at::allclose(parameters.slots()[slot].view, theirs[slot], 1e-6, 1e-6));
  }
}

class GradientNorm : public testing::TestWithParam<Optimizer::Path> {};

TEST_P(GradientNorm, IsThatOfAllGradientsTogether) {
  FlatParameters parameters = *FlatParameters::Create(Base(), {});
  SetGradients(parameters, 0);
  double sum = 0;
  for (const auto& slot : parameters.slots()) {
    sum += slot.view.grad().to(at::kDouble).square().sum().item<double>();
  }
  Optimizer optimizer(OptimizerOptions::Adamax(0.5), &parameters, GetParam());
  EXPECT_NEAR(optimizer.Step({1, kRate, {}, 0}), std::sqrt(sum),
              1e-6 * std::sqrt(sum));
}

INSTANTIATE_TEST_SUITE_P(Paths, GradientNorm,
                         testing::Values(Optimizer::Path::kFused,
                                         Optimizer::Path::kOperators));

TEST(Optimizer, NotFiniteGradientGivesANormThatIsNotFinite) {
  FlatParameters parameters = *FlatParameters::Create(Base(), {});
  SetGradients(parameters, 0);
  parameters.slots()[1].view.grad().view({-1})[3] = NAN;
  Optimizer optimizer(OptimizerOptions::Adamw(), &parameters);
  EXPECT_FALSE(std::isfinite(optimizer.Step({1, kRate, {}, 0})));
}

}  // namespace
}  // namespace attune::train
