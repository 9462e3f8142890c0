#include "worker/train/flat_parameters.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "worker/model/linear_head.h"

namespace attune::train {
namespace {

// Elements between starts of tensors: 64 bytes, a cache line and the widest
// vector.
constexpr int64_t kAlignment = 16;

// A linear head does not: it begins at the identity, and where it has nothing
// to learn it shall stay there.
bool Decays(const std::string& name, const at::Tensor& tensor) {
  return tensor.dim() >= 2 && !absl::StrContains(name, "embedding") &&
         name != model::kHeadWeight;
}

}  // namespace

absl::StatusOr<FlatParameters> FlatParameters::Create(
    const model::Tensors& base, const std::set<std::string>& frozen,
    bool share_frozen) {
  FlatParameters parameters;
  int64_t offset = 0;
  for (const bool decays : {true, false}) {
    for (const auto& [name, tensor] : base) {
      if (frozen.contains(name) || Decays(name, tensor) != decays) continue;
      if (tensor.scalar_type() != at::kFloat) {
        return Error(absl::StatusCode::kInvalidArgument,
                     "UNSUPPORTED_DATA_TYPE",
                     absl::StrCat("tensor ", name,
                                  " is not fp32; convert the model first"));
      }
      parameters.slots_.push_back({name, offset, tensor.numel(), decays, {}});
      offset += (tensor.numel() + kAlignment - 1) / kAlignment * kAlignment;
    }
    if (decays) parameters.decay_size_ = offset;
  }
  if (parameters.slots_.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, "NOTHING_TO_TRAIN",
                 "every tensor of the model is frozen; leave one trainable");
  }

  const at::NoGradGuard no_grad;
  parameters.policy_ = base;
  if (!share_frozen) {
    for (const std::string& name : frozen) {
      parameters.policy_[name] = base.at(name).clone();
    }
  }
  parameters.flat_ =
      at::zeros({offset}, base.at(parameters.slots_.front().name).options());
  for (Slot& slot : parameters.slots_) {
    at::Tensor& tensor = parameters.policy_[slot.name];
    slot.view =
        parameters.flat_.narrow(0, slot.offset, slot.size).view(tensor.sizes());
    slot.view.copy_(tensor);
    slot.view = slot.view.detach().set_requires_grad(true);
    tensor = slot.view;
  }
  return parameters;
}

at::Tensor FlatParameters::View(const at::Tensor& flat, const Slot& slot) {
  return flat.narrow(0, slot.offset, slot.size).view(slot.view.sizes());
}

model::Tensors FlatParameters::WithFlat(const at::Tensor& flat) const {
  model::Tensors tensors = policy_;
  for (const Slot& slot : slots_) tensors[slot.name] = View(flat, slot);
  return tensors;
}

void FlatParameters::ClearGradients() {
  for (Slot& slot : slots_) slot.view.mutable_grad().reset();
}

}  // namespace attune::train
