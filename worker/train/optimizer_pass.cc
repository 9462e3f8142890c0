#include "worker/train/optimizer_pass.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/train/optimizer_pass.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace train {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE V Broadcast(double value) {
  return hn::Set(D(), static_cast<float>(value));
}

struct Adamax {
  HWY_INLINE void Update(V& theta, V g, V& m, V& u) const {
    g = hn::MulAdd(Broadcast(f.weight_decay), theta, g);
    m = hn::MulAdd(Broadcast(f.beta1), m, hn::Mul(Broadcast(1 - f.beta1), g));
    u = hn::Max(hn::Mul(Broadcast(f.beta2), u),
                hn::Add(hn::Abs(g), Broadcast(f.epsilon)));
    theta = hn::NegMulAdd(Broadcast(f.step_size), hn::Div(m, u), theta);
  }

  const AdamaxFactors& f;
};

struct Adamw {
  HWY_INLINE void Update(V& theta, V g, V& m, V& v) const {
    m = hn::MulAdd(Broadcast(f.beta1), m, hn::Mul(Broadcast(1 - f.beta1), g));
    v = hn::MulAdd(Broadcast(f.beta2), v,
                   hn::Mul(Broadcast(1 - f.beta2), hn::Mul(g, g)));
    const V denominator =
        hn::MulAdd(hn::Sqrt(v), Broadcast(f.v_scale), Broadcast(f.epsilon));
    theta = hn::NegMulAdd(Broadcast(f.step_size), hn::Div(m, denominator),
                          hn::Mul(Broadcast(f.kept), theta));
  }

  const AdamwFactors& f;
};

template <class Rule>
HWY_INLINE V UpdateLanes(const Rule& rule, const ParameterRun& run, size_t i,
                         V squares) {
  const D d;
  V theta = hn::LoadU(d, run.weights + i);
  V first = hn::LoadU(d, run.first_moment + i);
  V second = hn::LoadU(d, run.second_moment + i);
  const V g = hn::LoadU(d, run.gradients + i);
  rule.Update(theta, g, first, second);
  hn::StoreU(theta, d, run.weights + i);
  hn::StoreU(first, d, run.first_moment + i);
  hn::StoreU(second, d, run.second_moment + i);
  if (run.average != nullptr) {
    const V average = hn::LoadU(d, run.average + i);
    hn::StoreU(hn::MulAdd(hn::Set(d, run.average_share),
                          hn::Sub(theta, average), average),
               d, run.average + i);
  }
  return hn::MulAdd(g, g, squares);
}

template <class Rule>
float Pass(const Rule& rule, const ParameterRun& run) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V squares = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= run.count; i += lanes) {
    squares = UpdateLanes(rule, run, i, squares);
  }
  if (const size_t rest = run.count - i; rest > 0) {
    // The last values travel through a buffer of whole lanes; zeros are valid
    // parameters of both rules.
    constexpr size_t kMaxLanes = hn::MaxLanes(D());
    float weights[kMaxLanes] = {}, gradients[kMaxLanes] = {},
          first[kMaxLanes] = {}, second[kMaxLanes] = {},
          average[kMaxLanes] = {};
    std::copy_n(run.weights + i, rest, weights);
    std::copy_n(run.gradients + i, rest, gradients);
    std::copy_n(run.first_moment + i, rest, first);
    std::copy_n(run.second_moment + i, rest, second);
    const bool averages = run.average != nullptr;
    if (averages) std::copy_n(run.average + i, rest, average);
    squares = UpdateLanes(
        rule,
        ParameterRun{weights, gradients, first, second,
                     averages ? average : nullptr, run.average_share, rest},
        0, squares);
    std::copy_n(weights, rest, run.weights + i);
    std::copy_n(first, rest, run.first_moment + i);
    std::copy_n(second, rest, run.second_moment + i);
    if (averages) std::copy_n(average, rest, run.average + i);
  }
  return hn::GetLane(hn::SumOfLanes(d, squares));
}

float AdamaxRun(const AdamaxFactors& factors, const ParameterRun& run) {
  return Pass(Adamax{factors}, run);
}

float AdamwRun(const AdamwFactors& factors, const ParameterRun& run) {
  return Pass(Adamw{factors}, run);
}

}  // namespace HWY_NAMESPACE
}  // namespace train
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune::train {

HWY_EXPORT(AdamaxRun);
HWY_EXPORT(AdamwRun);

float AdamaxPass(const AdamaxFactors& factors, const ParameterRun& run) {
  return HWY_DYNAMIC_DISPATCH(AdamaxRun)(factors, run);
}

float AdamwPass(const AdamwFactors& factors, const ParameterRun& run) {
  return HWY_DYNAMIC_DISPATCH(AdamwRun)(factors, run);
}

}  // namespace attune::train
#endif  // HWY_ONCE
