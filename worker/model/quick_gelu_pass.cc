#include "worker/model/quick_gelu_pass.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/model/quick_gelu_pass.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace model {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr float kSlope = 1.702f;
// Where σ is still a normal number, and far from where Exp would overflow.
constexpr float kLargestExponent = 87;

// σ(z) = 1 / (1 + exp(−z)).
HWY_INLINE V Sigmoid(V z) {
  const D d;
  const V exponent = hn::Min(hn::Neg(z), hn::Set(d, kLargestExponent));
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, hn::Exp(d, exponent)));
}

struct Forward {
  HWY_INLINE V operator()(V x, V) const {
    return hn::Mul(x, Sigmoid(hn::Mul(x, hn::Set(D(), kSlope))));
  }
};

struct Gradient {
  HWY_INLINE V operator()(V x, V dy) const {
    const V one = hn::Set(D(), 1.0f);
    const V z = hn::Mul(x, hn::Set(D(), kSlope));
    const V s = Sigmoid(z);
    return hn::Mul(hn::Mul(dy, s), hn::MulAdd(z, hn::Sub(one, s), one));
  }
};

template <class Operation>
HWY_INLINE void Pass(const Operation& operation, const float* x,
                     const float* dy, float* out, size_t count) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(operation(hn::LoadU(d, x + i), hn::LoadU(d, dy + i)), d,
               out + i);
  }
  if (const size_t rest = count - i; rest > 0) {
    constexpr size_t kMaxLanes = hn::MaxLanes(D());
    float last_x[kMaxLanes] = {}, last_dy[kMaxLanes] = {}, last_out[kMaxLanes];
    std::copy_n(x + i, rest, last_x);
    std::copy_n(dy + i, rest, last_dy);
    hn::StoreU(operation(hn::LoadU(d, last_x), hn::LoadU(d, last_dy)), d,
               last_out);
    std::copy_n(last_out, rest, out + i);
  }
}

void ForwardRun(const float* x, float* y, size_t count) {
  Pass(Forward(), x, x, y, count);
}

void GradientRun(const float* x, const float* dy, float* dx, size_t count) {
  Pass(Gradient(), x, dy, dx, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace model
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune::model {

HWY_EXPORT(ForwardRun);
HWY_EXPORT(GradientRun);

void QuickGeluPass(const float* x, float* y, size_t count) {
  HWY_DYNAMIC_DISPATCH(ForwardRun)(x, y, count);
}

void QuickGeluGradientPass(const float* x, const float* dy, float* dx,
                           size_t count) {
  HWY_DYNAMIC_DISPATCH(GradientRun)(x, dy, dx, count);
}

}  // namespace attune::model
#endif  // HWY_ONCE
