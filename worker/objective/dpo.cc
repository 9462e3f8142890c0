#include "worker/objective/dpo.h"

#include <ATen/ops/gather.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/logsumexp.h>

namespace attune::objective {
namespace {

// Column `index` of each row: [B] of [B, C].
at::Tensor Pick(const at::Tensor& logits, const at::Tensor& index) {
  return at::gather(logits, 1, index.unsqueeze(1)).squeeze(1);
}

}  // namespace

DpoTerms Dpo(const at::Tensor& logits, const at::Tensor& reference_logits,
             const at::Tensor& preferred, const at::Tensor& rejected,
             const DpoOptions& options) {
  const at::Tensor preferred_logit = Pick(logits, preferred);
  const at::Tensor rejected_logit = Pick(logits, rejected);
  const at::Tensor preferred_gain =
      preferred_logit - Pick(reference_logits, preferred);
  const at::Tensor rejected_gain =
      rejected_logit - Pick(reference_logits, rejected);
  const at::Tensor h =
      (preferred_logit - rejected_logit) -
      (Pick(reference_logits, preferred) - Pick(reference_logits, rejected));

  DpoTerms terms;
  const double smoothing = options.label_smoothing;
  terms.loss = -(1 - smoothing) * at::log_sigmoid(options.beta * h);
  if (smoothing > 0) {
    terms.loss = terms.loss - smoothing * at::log_sigmoid(-options.beta * h);
  }
  const at::Tensor normalizer_gain = at::logsumexp(logits.detach(), {1}) -
                                     at::logsumexp(reference_logits, {1});
  terms.preferred_log_ratio = preferred_gain.detach() - normalizer_gain;
  terms.rejected_log_ratio = rejected_gain.detach() - normalizer_gain;
  terms.margin = h.detach();
  terms.correct = (preferred_logit > rejected_logit).to(logits.scalar_type());
  return terms;
}

}  // namespace attune::objective
