// What a run does on a GPU against the same on the CPU.

#include <ATen/Context.h>
#include <ATen/Functions.h>

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"
#include "worker/model/cuda_kernels.h"
#include "worker/train/optimizer.h"

namespace attune::train {
namespace {

class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "no GPU that this build can use";
  }
};

model::Tensors ToGpu(model::Tensors tensors) {
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kCUDA);
  return tensors;
}

// Sizes that are not multiples of a block of threads, one longer than a chunk.
model::Tensors Base() {
  at::manual_seed(3);
  return {{"a.weight", at::randn({7, 13})},
          {"a.bias", at::randn({13})},
          {"b.weight", at::randn({33, 500})},
          {"token_embedding.weight", at::randn({130, 101})},
          {"logit_scale", at::scalar_tensor(4.6f)}};
}

// Parameters with their optimizer and average, on one device.
struct Side {
  Side(const OptimizerOptions& options, const model::Tensors& base,
       Optimizer::Path path)
      : parameters(*FlatParameters::Create(base, {})),
        optimizer(options, &parameters, path),
        average(parameters.flat().clone()) {}

  // A function of the step; one tensor has none, and one gradient begins in
  // the middle of its memory.
  void SetGradients(int step) {
    at::manual_seed(100 + step);
    for (const FlatParameters::Slot& slot : parameters.slots()) {
      at::Tensor view = slot.view;
      const at::Tensor gradient = 0.1 * at::randn({slot.size + 1});
      if (slot.name == "a.bias") continue;
      view.mutable_grad() = gradient.to(view.device())
                                .narrow(0, slot.name == "b.weight", slot.size)
                                .view(view.sizes());
    }
  }

  double Step(int number, bool with_average) {
    SetGradients(number);
    return optimizer.Step({number, 1e-2, with_average ? average : at::Tensor(),
                           with_average ? 0.3 : 0});
  }

  FlatParameters parameters;
  Optimizer optimizer;
  at::Tensor average;
};

struct OptimizerCase {
  OptimizerOptions options;
  bool average;
};

class OptimizerOnGpu : public OnGpu,
                       public testing::WithParamInterface<OptimizerCase> {
 protected:
  static void ExpectEqualsTheCpu(const OptimizerCase& tried,
                                 Optimizer::Path path) {
    Side cpu(tried.options, Base(), Optimizer::Path::kFused);
    Side gpu(tried.options, ToGpu(Base()), path);
    for (int number = 1; number <= 10; ++number) {
      const double norm = cpu.Step(number, tried.average);
      EXPECT_NEAR(gpu.Step(number, tried.average), norm, 3e-6 * norm);
    }
    const auto expect_close = [](const at::Tensor& found,
                                 const at::Tensor& expected) {
      EXPECT_TRUE(at::allclose(found.to(at::kCPU), expected, 2e-6, 2e-6))
          << (found.to(at::kCPU) - expected).abs().max();
    };
    expect_close(gpu.parameters.flat(), cpu.parameters.flat());
    expect_close(gpu.average, cpu.average);
    expect_close(gpu.optimizer.first_moment(), cpu.optimizer.first_moment());
    expect_close(gpu.optimizer.second_moment(), cpu.optimizer.second_moment());
  }
};

TEST_P(OptimizerOnGpu, EqualsTheCpuByTheKernel) {
  if (!model::kCudaKernels) GTEST_SKIP() << "built without kernels";
  ExpectEqualsTheCpu(GetParam(), Optimizer::Path::kFused);
}

TEST_P(OptimizerOnGpu, EqualsTheCpuByOperators) {
  ExpectEqualsTheCpu(GetParam(), Optimizer::Path::kOperators);
}

TEST_P(OptimizerOnGpu, DoesTheSameBitsAgain) {
  const auto& [options, average] = GetParam();
  Side first(options, ToGpu(Base()), Optimizer::Path::kFused);
  Side second(options, ToGpu(Base()), Optimizer::Path::kFused);
  for (int number = 1; number <= 3; ++number) {
    EXPECT_EQ(first.Step(number, average), second.Step(number, average));
  }
  EXPECT_TRUE(at::equal(first.parameters.flat(), second.parameters.flat()));
  EXPECT_TRUE(at::equal(first.average, second.average));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OptimizerOnGpu,
    testing::Values(OptimizerCase{OptimizerOptions::Adamax(), true},
                    OptimizerCase{OptimizerOptions::Adamax(0.1), true},
                    OptimizerCase{OptimizerOptions::Adamax(0.1), false},
                    OptimizerCase{OptimizerOptions::Adamw(0.05), true},
                    OptimizerCase{OptimizerOptions::Adamw(0.05), false}));

TEST_F(OnGpu, NotFiniteGradientGivesANormThatIsNotFinite) {
  Side side(OptimizerOptions::Adamax(), ToGpu(Base()), Optimizer::Path::kFused);
  side.SetGradients(1);
  side.parameters.slots()[0].view.grad().view({-1})[3] = NAN;
  EXPECT_FALSE(std::isfinite(side.optimizer.Step({1, 1e-2, {}, 0})));
}

struct RunCase {
  std::string name;
  TrainConfig config;
};

void PrintTo(const RunCase& run, std::ostream* out) { *out << run.name; }

TrainConfig MicroBatches() {
  TrainConfig config = DpoConfig();
  config.micro_batch_size = 3;
  return config;
}

TrainConfig Head() {
  TrainConfig config = DpoConfig();
  config.head = LinearHead();
  return config;
}

TrainConfig StockOperators() {
  TrainConfig config = DpoConfig();
  config.savings.fused_optimizer = false;
  config.savings.fused_quick_gelu = false;
  return config;
}

struct GpuRun : RandomRun {
  GpuRun(const TrainConfig& config, const TaskSize& size)
      : RandomRun(config, size) {
    base = ToGpu(base);
    trainer = *Trainer::Create(config, clip, base, data, &pixels);
  }
};

class RunOnGpu : public OnGpu, public testing::WithParamInterface<RunCase> {
 protected:
  // Every text is a candidate, as KTO needs it.
  static constexpr TaskSize kSize = {.twins = 5, .texts_beside = 0};
  static constexpr int kSteps = 10;

  // Rounding grows along a run; the curves themselves move by tenths.
  static void ExpectSameCurve(const std::vector<StepMetrics>& a,
                              const std::vector<StepMetrics>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_NEAR(a[i].loss, b[i].loss, 1e-3);
      EXPECT_NEAR(a[i].kl.value_or(0), b[i].kl.value_or(0), 1e-3);
      EXPECT_NEAR(a[i].gradient_norm, b[i].gradient_norm,
                  5e-3 * a[i].gradient_norm);
    }
  }
};

TEST_P(RunOnGpu, HasTheCurveOfTheCpu) {
  RandomRun cpu(GetParam().config, kSize);
  GpuRun gpu(GetParam().config, kSize);
  const std::vector<StepMetrics> curve = cpu.Steps(kSteps);
  ExpectSameCurve(curve, gpu.Steps(kSteps));
  EXPECT_GT(std::abs(curve.back().loss - curve.front().loss), 1e-3);
  const model::Tensors weights = *gpu.trainer->LastWeights();
  for (const auto& [name, tensor] : weights) {
    EXPECT_TRUE(tensor.is_cuda()) << name;
  }
}

TEST_P(RunOnGpu, SavesOnTheCpuWhatEitherDeviceGoesOnFrom) {
  GpuRun whole(GetParam().config, kSize);
  const std::vector<StepMetrics> curve = whole.Steps(kSteps);

  GpuRun first(GetParam().config, kSize);
  first.Steps(4);
  const TrainerState state = *first.trainer->SaveState();
  first.Steps(1);
  for (const auto& [name, tensor] : state.tensors) {
    EXPECT_TRUE(tensor.is_cpu()) << name;
  }
  GpuRun gpu(GetParam().config, kSize);
  ASSERT_TRUE(gpu.trainer->Restore(state).ok());
  RandomRun cpu(GetParam().config, kSize);
  ASSERT_TRUE(cpu.trainer->Restore(state).ok());
  const std::vector<StepMetrics> rest(curve.begin() + 4, curve.end());
  ExpectSameCurve(rest, gpu.Steps(kSteps - 4));
  ExpectSameCurve(rest, cpu.Steps(kSteps - 4));
}

INSTANTIATE_TEST_SUITE_P(
    Runs, RunOnGpu,
    testing::Values(RunCase{"Dpo", DpoConfig()},
                    RunCase{"DpoInMicroBatches", MicroBatches()},
                    RunCase{"DpoByStockOperators", StockOperators()},
                    RunCase{"Kto", KtoConfig()},
                    RunCase{"InfoNce", InfoNceConfig()},
                    RunCase{"LinearHead", Head()}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace attune::train
