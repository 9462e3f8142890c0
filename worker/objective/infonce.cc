#include "worker/objective/infonce.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/log_softmax.h>

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

at::Tensor InfoNce(const at::Tensor& logits, const at::Tensor& positives) {
  const at::Tensor image_targets = positives / positives.sum(1, true);
  const at::Tensor caption_targets = positives / positives.sum(0, true);
  const at::Tensor image_loss =
      -(image_targets * at::log_softmax(logits, 1)).sum(1).mean();
  const at::Tensor caption_loss =
      -(caption_targets * at::log_softmax(logits, 0)).sum(0).mean();
  return 0.5 * (image_loss + caption_loss);
}

}  // namespace attune::objective
