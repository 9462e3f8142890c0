#include "worker/objective/similarity.h"

#include <ATen/ops/matmul.h>

namespace attune::objective {

at::Tensor Logits(const at::Tensor& f, const at::Tensor& g,
                  const at::Tensor& s) {
  return at::matmul(s * f, g.t());
}

}  // namespace attune::objective
