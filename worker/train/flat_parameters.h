// The trainable tensors of a model as views of one flat buffer, so that the
// optimizer, the average and a checkpoint are one pass over memory.

#ifndef ATTUNE_WORKER_TRAIN_FLAT_PARAMETERS_H_
#define ATTUNE_WORKER_TRAIN_FLAT_PARAMETERS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model/clip.h"

namespace attune::train {

// The policy's tensors. Trainable ones are copies in a flat fp32 buffer, on
// the device of the base; frozen ones are the base's own, which the reference
// uses too. Gradients stay where autograd puts them: collecting them would
// cost one more pass. Not thread-safe.
class FlatParameters {
 public:
  // One trainable tensor.
  struct Slot {
    std::string name;
    // Where it lies in a flat buffer, in elements.
    int64_t offset;
    int64_t size;
    // Whether weight decay applies: matrices, apart from embeddings of tokens
    // and positions and from a linear head.
    bool decays;
    // The autograd leaf; its storage is the flat buffer.
    at::Tensor view;
  };

  // `frozen`: names that are not trained; `share_frozen`: their tensors are
  // the base's, not copies.
  // INVALID_ARGUMENT, reason NOTHING_TO_TRAIN, when every tensor is frozen;
  // reason UNSUPPORTED_DATA_TYPE for a trainable tensor that is not fp32.
  static absl::StatusOr<FlatParameters> Create(
      const model::Tensors& base, const std::set<std::string>& frozen,
      bool share_frozen = true);

  // All tensors of the policy; trainable ones require a gradient.
  const model::Tensors& policy() const { return policy_; }

  // Slots by rising offset; those that decay come first. Offsets are
  // multiples of 16 and the gaps hold zeros.
  const std::vector<Slot>& slots() const { return slots_; }
  // Length of the part of the buffer that decays.
  int64_t decay_size() const { return decay_size_; }

  // The buffer [n].
  const at::Tensor& flat() const { return flat_; }

  // `slot`'s part of a buffer of the same layout, in the tensor's shape.
  static at::Tensor View(const at::Tensor& flat, const Slot& slot);

  // The policy with the trainable tensors of another buffer of the same
  // layout: the result shares its storage, and the base's for frozen tensors.
  model::Tensors WithFlat(const at::Tensor& flat) const;

  void ClearGradients();

 private:
  FlatParameters() = default;

  model::Tensors policy_;
  std::vector<Slot> slots_;
  int64_t decay_size_ = 0;
  at::Tensor flat_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_FLAT_PARAMETERS_H_
