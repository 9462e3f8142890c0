#include "worker/objective/positives.h"

#include <ATen/ops/eye.h>

namespace attune::objective {

bool Agree(const Attributes& image, const Attributes& caption) {
  bool shared = false;
  for (const auto& [key, value] : caption) {
    const auto found = image.find(key);
    if (found == image.end()) continue;
    if (found->second != value) return false;
    shared = true;
  }
  return shared;
}

at::Tensor Positives(const std::vector<const Attributes*>& images,
                     const std::vector<const Attributes*>& captions) {
  const int64_t count = static_cast<int64_t>(images.size());
  at::Tensor positives = at::eye(count, at::kFloat);
  float* row = positives.data_ptr<float>();
  for (const Attributes* image : images) {
    for (int64_t j = 0; j < count; ++j) {
      if (Agree(*image, *captions[j])) row[j] = 1;
    }
    row += count;
  }
  return positives;
}

}  // namespace attune::objective
