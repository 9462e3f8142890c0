#include "worker/train/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "worker/model/cuda_kernels.h"
#include "worker/train/optimizer_pass.h"

namespace attune::train {
namespace {

// Small enough for Σ g² in fp32, large enough that dispatch costs nothing.
constexpr int64_t kChunkSize = 8192;

bool HasFusedPass(const at::Tensor& flat) {
  return flat.is_cpu() || (model::kCudaKernels && flat.is_cuda());
}

}  // namespace

OptimizerOptions OptimizerOptions::Adamax(double weight_decay) {
  return {Kind::kAdamax, 0.9, 0.999, 1e-8, weight_decay};
}

OptimizerOptions OptimizerOptions::Adamw(double weight_decay) {
  return {Kind::kAdamw, 0.9, 0.98, 1e-6, weight_decay};
}

Optimizer::Optimizer(const OptimizerOptions& options,
                     FlatParameters* parameters, Path path)
    : options_(options),
      parameters_(parameters),
      path_(HasFusedPass(parameters->flat()) ? path : Path::kOperators),
      first_moment_(at::zeros_like(parameters->flat())),
      second_moment_(at::zeros_like(parameters->flat())) {
  const auto& slots = parameters->slots();
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    for (int64_t begin = 0; begin < slots[slot].size; begin += kChunkSize) {
      chunks_.push_back(
          {slot, begin, std::min(kChunkSize, slots[slot].size - begin)});
    }
  }
}

std::string Optimizer::first_moment_name() const {
  return options_.kind == OptimizerOptions::Kind::kAdamax ? "adamax_m"
                                                          : "adamw_m";
}

std::string Optimizer::second_moment_name() const {
  return options_.kind == OptimizerOptions::Kind::kAdamax ? "adamax_u"
                                                          : "adamw_v";
}

double Optimizer::Step(const OptimizerStep& step) {
  const at::NoGradGuard no_grad;
  if (path_ == Path::kOperators) return OperatorStep(step);
  if constexpr (model::kCudaKernels) {
    if (parameters_->flat().is_cuda()) return CudaStep(step);
  }
  return FusedStep(step);
}

double Optimizer::StepSize(const OptimizerStep& step) const {
  return step.learning_rate / (1 - std::pow(options_.beta1, step.number));
}

double Optimizer::SecondMomentScale(const OptimizerStep& step) const {
  return 1 / std::sqrt(1 - std::pow(options_.beta2, step.number));
}

double Optimizer::FusedStep(const OptimizerStep& step) {
  const auto& slots = parameters_->slots();
  std::vector<at::Tensor> gradients;
  for (const auto& slot : slots) {
    const at::Tensor& gradient = slot.view.grad();
    gradients.push_back(gradient.defined() ? gradient.contiguous()
                                           : at::zeros_like(slot.view));
  }
  float* const weights = parameters_->flat().data_ptr<float>();
  float* const first = first_moment_.data_ptr<float>();
  float* const second = second_moment_.data_ptr<float>();
  float* const average =
      step.average.defined() ? step.average.data_ptr<float>() : nullptr;
  const double step_size = StepSize(step);
  const double v_scale = SecondMomentScale(step);

  // One sum a chunk, added in a fixed order: the same with any thread count.
  std::vector<float> squares(chunks_.size());
  at::parallel_for(
      0, static_cast<int64_t>(chunks_.size()), 1,
      [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const Chunk& chunk = chunks_[i];
          const FlatParameters::Slot& slot = slots[chunk.slot];
          const int64_t at = slot.offset + chunk.begin;
          const double decay = slot.decays ? options_.weight_decay : 0;
          const ParameterRun run = {
              weights + at,
              gradients[chunk.slot].data_ptr<float>() + chunk.begin,
              first + at,
              second + at,
              average == nullptr ? nullptr : average + at,
              static_cast<float>(step.average_share),
              static_cast<size_t>(chunk.size)};
          squares[i] =
              options_.kind == OptimizerOptions::Kind::kAdamax
                  ? AdamaxPass({options_.beta1, options_.beta2,
                                options_.epsilon, decay, step_size},
                               run)
                  : AdamwPass(
                        {options_.beta1, options_.beta2, options_.epsilon,
                         1 - step.learning_rate * decay, step_size, v_scale},
                        run);
        }
      });
  double sum = 0;
  for (float value : squares) sum += value;
  return std::sqrt(sum);
}

double Optimizer::OperatorStep(const OptimizerStep& step) {
  at::Tensor g = FlatGradient();
  const double norm = g.norm().item<double>();
  at::Tensor theta = parameters_->flat();
  at::Tensor decaying = theta.narrow(0, 0, parameters_->decay_size());
  const double step_size = StepSize(step);
  if (options_.kind == OptimizerOptions::Kind::kAdamax) {
    g.narrow(0, 0, parameters_->decay_size())
        .add_(decaying, options_.weight_decay);
    first_moment_.mul_(options_.beta1).add_(g, 1 - options_.beta1);
    second_moment_.copy_(at::maximum(second_moment_ * options_.beta2,
                                     g.abs() + options_.epsilon));
    theta.addcdiv_(first_moment_, second_moment_, -step_size);
  } else {
    decaying.mul_(1 - step.learning_rate * options_.weight_decay);
    first_moment_.mul_(options_.beta1).add_(g, 1 - options_.beta1);
    second_moment_.mul_(options_.beta2).addcmul_(g, g, 1 - options_.beta2);
    theta.addcdiv_(first_moment_,
                   second_moment_.sqrt()
                       .mul_(SecondMomentScale(step))
                       .add_(options_.epsilon),
                   -step_size);
  }
  if (step.average.defined()) {
    at::Tensor average = step.average;
    average.add_(theta - average, step.average_share);
  }
  return norm;
}

at::Tensor Optimizer::FlatGradient() const {
  const at::Tensor& flat = parameters_->flat();
  std::vector<at::Tensor> parts;
  int64_t end = 0;
  for (const auto& slot : parameters_->slots()) {
    if (slot.offset > end) {
      parts.push_back(at::zeros({slot.offset - end}, flat.options()));
    }
    const at::Tensor& gradient = slot.view.grad();
    parts.push_back(gradient.defined()
                        ? gradient.reshape({-1})
                        : at::zeros({slot.size}, flat.options()));
    end = slot.offset + slot.size;
  }
  if (flat.numel() > end) {
    parts.push_back(at::zeros({flat.numel() - end}, flat.options()));
  }
  return at::cat(parts);
}

}  // namespace attune::train
