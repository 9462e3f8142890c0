#include "worker/objective/pair_terms.h"

#include <ATen/ops/gather.h>
#include <ATen/ops/logsumexp.h>

namespace attune::objective {
namespace {

// Column `index` of each row: [B] of [B, C].
at::Tensor Pick(const at::Tensor& logits, const at::Tensor& index) {
  return at::gather(logits, 1, index.unsqueeze(1)).squeeze(1);
}

}  // namespace

PairTerms MakePairTerms(const at::Tensor& logits,
                        const at::Tensor& reference_logits,
                        const at::Tensor& preferred,
                        const at::Tensor& rejected) {
  const at::Tensor preferred_logit = Pick(logits, preferred);
  const at::Tensor rejected_logit = Pick(logits, rejected);
  const at::Tensor normalizer = at::logsumexp(logits, {1});

  PairTerms terms;
  terms.log_preferred = preferred_logit - normalizer;
  terms.correct = (preferred_logit > rejected_logit).to(logits.scalar_type());
  if (!reference_logits.defined()) return terms;
  const at::Tensor preferred_reference = Pick(reference_logits, preferred);
  const at::Tensor rejected_reference = Pick(reference_logits, rejected);
  const at::Tensor normalizer_gain =
      normalizer - at::logsumexp(reference_logits, {1});
  terms.a = preferred_logit - preferred_reference - normalizer_gain;
  terms.b = rejected_logit - rejected_reference - normalizer_gain;
  terms.h = (preferred_logit - rejected_logit) -
            (preferred_reference - rejected_reference);
  return terms;
}

}  // namespace attune::objective
