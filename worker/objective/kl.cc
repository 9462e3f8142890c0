#include "worker/objective/kl.h"

#include <ATen/ops/log_softmax.h>

namespace attune::objective {

at::Tensor Kl(const at::Tensor& logits, const at::Tensor& reference_logits) {
  const at::Tensor log_policy = at::log_softmax(logits, 1);
  const at::Tensor log_reference =
      at::log_softmax(reference_logits.detach(), 1);
  return (log_reference.exp() * (log_reference - log_policy)).sum(1);
}

}  // namespace attune::objective
