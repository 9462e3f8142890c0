#include "worker/train/reference.h"

#include <ATen/core/grad_mode.h>

#include <utility>

#include "common/status_macros.h"
#include "worker/objective/similarity.h"

namespace attune::train {
namespace {

// Texts computed at a time.
constexpr int64_t kTextGroup = 64;

}  // namespace

Reference::Reference(const TrainingData* data, Encoder* encoder,
                     const model::Tensors& tensors, Orders orders,
                     int64_t group_size, bool cache)
    : data_(data),
      encoder_(encoder),
      tensors_(tensors),
      cache_(cache),
      scale_(tensors.at("logit_scale").detach().exp()),
      pairs_(std::move(orders.pairs), group_size,
             [this](absl::Span<const int64_t> pairs) {
               std::vector<int64_t> images;
               for (int64_t pair : pairs) {
                 images.push_back(data_->pairs[pair].image);
               }
               return encoder_->Images(tensors_, images);
             }),
      clean_(std::move(orders.clean), group_size,
             [this, clean_images = std::move(orders.clean_images)](
                 absl::Span<const int64_t> entries) {
               std::vector<int64_t> images;
               for (int64_t entry : entries) {
                 images.push_back(clean_images[entry]);
               }
               return encoder_->Images(tensors_, images);
             }),
      texts_(std::move(orders.texts), kTextGroup,
             [this](absl::Span<const int64_t> texts) {
               return encoder_->Texts(tensors_, texts);
             }) {}

absl::StatusOr<at::Tensor> Reference::PairLogits(
    absl::Span<const int64_t> pairs, absl::Span<const int64_t> texts) {
  return Logits(pairs_, pairs, texts);
}

absl::StatusOr<at::Tensor> Reference::CleanLogits(
    absl::Span<const int64_t> clean, absl::Span<const int64_t> texts) {
  return Logits(clean_, clean, texts);
}

absl::StatusOr<at::Tensor> Reference::Logits(EmbeddingCache& images,
                                             absl::Span<const int64_t> entries,
                                             absl::Span<const int64_t> texts) {
  const at::NoGradGuard no_grad;
  if (!cache_) {
    images.Forget();
    texts_.Forget();
  }
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor f, images.Rows(entries));
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor g, texts_.Rows(texts));
  return objective::Logits(f, g, scale_);
}

}  // namespace attune::train
