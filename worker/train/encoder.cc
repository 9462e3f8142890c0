#include "worker/train/encoder.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/status_macros.h"

namespace attune::train {
namespace {

// Images, and texts, of frozen towers computed at a time.
constexpr int64_t kFrozenGroup = 64;

}  // namespace

Encoder::Encoder(const ClipConfig& config, const Savings& savings,
                 at::Device device,
                 const std::vector<std::vector<int32_t>>* texts,
                 PixelSource* pixels)
    : config_(config),
      share_prefixes_(savings.share_prefixes),
      options_{.readout_only = savings.readout_only,
               .fused_quick_gelu = savings.fused_quick_gelu,
               .patches_as_product = savings.patches_as_product},
      device_(device),
      texts_(texts),
      pixels_(pixels) {}

void Encoder::Freeze(const model::Tensors& base, std::vector<int64_t> images) {
  frozen_images_.emplace(std::move(images), kFrozenGroup,
                         [this, base](absl::Span<const int64_t> group) {
                           return Encode(base, group);
                         });
  std::vector<int64_t> texts(texts_->size());
  std::iota(texts.begin(), texts.end(), 0);
  frozen_texts_.emplace(std::move(texts), kFrozenGroup,
                        [this, base](absl::Span<const int64_t> group) {
                          return EncodeTexts(base, group);
                        });
}

absl::StatusOr<at::Tensor> Encoder::Images(const model::Tensors& tensors,
                                           absl::Span<const int64_t> images) {
  return frozen_images_ ? frozen_images_->Rows(images)
                        : Encode(tensors, images);
}

absl::StatusOr<at::Tensor> Encoder::Texts(const model::Tensors& tensors,
                                          absl::Span<const int64_t> texts) {
  return frozen_texts_ ? frozen_texts_->Rows(texts)
                       : EncodeTexts(tensors, texts);
}

absl::StatusOr<at::Tensor> Encoder::Encode(const model::Tensors& tensors,
                                           absl::Span<const int64_t> images) {
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor pixels, pixels_->Pixels(images));
  return model::Normalised(
      model::EncodeImages(config_, tensors, pixels.to(device_), options_));
}

absl::StatusOr<at::Tensor> Encoder::EncodeTexts(
    const model::Tensors& tensors, absl::Span<const int64_t> texts) {
  if (!std::equal(texts.begin(), texts.end(), packed_texts_.begin(),
                  packed_texts_.end())) {
    std::vector<std::vector<int32_t>> rows;
    rows.reserve(texts.size());
    for (int64_t text : texts) rows.push_back((*texts_)[text]);
    ATTUNE_ASSIGN_OR_RETURN(const model::TextBatch batch,
                            share_prefixes_
                                ? model::PackTexts(rows, config_)
                                : model::SeparateTexts(rows, config_));
    packed_ = batch.To(device_);
    packed_texts_.assign(texts.begin(), texts.end());
  }
  return model::Normalised(
      model::EncodeTexts(config_, tensors, packed_, options_));
}

}  // namespace attune::train
