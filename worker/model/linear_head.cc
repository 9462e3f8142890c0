#include "worker/model/linear_head.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>

#include <tuple>
#include <utility>

#include "common/safetensors/clip_layout.h"

namespace attune::model {
namespace {

constexpr double kEpsilon = 1e-12;

}  // namespace

at::Tensor HeadPenalty(const at::Tensor& w) {
  const at::Tensor gap = at::eye(w.size(0), w.options()) - at::matmul(w, w.t());
  return (gap.square().sum() + kEpsilon).sqrt();
}

Tensors WithFactors(Tensors tensors) {
  const auto found = tensors.find(kHeadWeight);
  // In double: V must be orthogonal to fp32's last digit.
  const auto [u, s, v_transposed] =
      at::linalg_svd(found->second.detach().cpu().to(at::kDouble));
  const at::TensorOptions options = found->second.options();
  tensors.erase(found);
  tensors[kHeadDirections] = v_transposed.t().contiguous().to(options);
  tensors[kHeadSingularValues] = s.clamp_min(kLeastSingularValue).to(options);
  return tensors;
}

bool HasHead(const Tensors& tensors) {
  return tensors.contains(kHeadDirections);
}

at::Tensor ApplyHead(const Tensors& tensors, const at::Tensor& embeddings,
                     double t) {
  if (t == 0 || !HasHead(tensors)) return embeddings;
  const at::Tensor v = tensors.at(kHeadDirections).to(embeddings.device());
  const at::Tensor s = tensors.at(kHeadSingularValues).to(embeddings.device());
  return at::matmul(at::matmul(embeddings, v) * s.pow(t), v.t());
}

}  // namespace attune::model
