#include "worker/train/reference.h"

#include <ATen/core/grad_mode.h>

#include <utility>

#include "common/status_macros.h"
#include "worker/objective/similarity.h"

namespace attune::train {

Reference::Reference(const TrainingData* data, Encoder* encoder,
                     const model::Tensors& tensors,
                     std::vector<int64_t> clean_images, bool cache)
    : data_(data),
      encoder_(encoder),
      tensors_(tensors),
      clean_images_(std::move(clean_images)),
      cache_(cache),
      scale_(tensors.at("logit_scale").detach().exp()) {}

absl::StatusOr<at::Tensor> Reference::PairLogits(
    absl::Span<const int64_t> pairs, absl::Span<const int64_t> texts) {
  std::vector<int64_t> images;
  for (int64_t pair : pairs) images.push_back(data_->pairs[pair].image);
  return Logits(images, texts);
}

absl::StatusOr<at::Tensor> Reference::CleanLogits(
    absl::Span<const int64_t> clean, absl::Span<const int64_t> texts) {
  std::vector<int64_t> images;
  for (int64_t entry : clean) images.push_back(clean_images_[entry]);
  return Logits(images, texts);
}

absl::StatusOr<at::Tensor> Reference::Logits(const std::vector<int64_t>& images,
                                             absl::Span<const int64_t> texts) {
  const at::NoGradGuard no_grad;
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor f,
                          cache_ ? encoder_->BaseImages(images)
                                 : encoder_->Images(tensors_, images));
  ATTUNE_ASSIGN_OR_RETURN(
      const at::Tensor g,
      cache_ ? encoder_->BaseTexts(texts) : encoder_->Texts(tensors_, texts));
  return objective::Logits(f, g, scale_);
}

}  // namespace attune::train
