#include "worker/train/encoder.h"

#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "common/status_macros.h"
#include "worker/model/upload.h"
#include "worker/train/streams.h"

namespace attune::train {
namespace {

// Frozen texts computed at a time.
constexpr int64_t kTextGroup = 64;

int64_t LongestText(const TrainingData& data) {
  size_t longest = 0;
  for (const auto& text : data.texts) longest = std::max(longest, text.size());
  return static_cast<int64_t>(longest);
}

constexpr int64_t kEverything = std::numeric_limits<int64_t>::max();

// States that the caches may keep.
int64_t KeptStates(const TrainConfig& config, int64_t tokens, int64_t width) {
  const auto state_bytes =
      std::max<int64_t>(1, tokens * width) * int64_t{sizeof(float)};
  return config.state_cache_bytes / state_bytes;
}

EmbeddingRows OnDevice(const EmbeddingRows& rows, at::Device device) {
  if (rows.entries.empty()) return {};
  return {rows.entries, rows.rows.to(device)};
}

int64_t ImageTokens(const ClipConfig& clip) {
  const int64_t grid = clip.image_size / clip.patch_size;
  return grid * grid + 1;
}

}  // namespace

Encoder::Encoder(const ClipConfig& clip, const TrainConfig& config,
                 const objective::Objective& objective,
                 const model::Tensors& base, const TrainingData* data,
                 PixelSource* pixels)
    : clip_(clip),
      share_prefixes_(config.savings.share_prefixes),
      options_{.readout_only = config.savings.readout_only,
               .fused_quick_gelu = config.savings.fused_quick_gelu,
               .patches_as_product = config.savings.patches_as_product,
               .bf16_products = config.bf16},
      device_(base.begin()->second.device()),
      frozen_images_(config.savings.cache_frozen
                         ? FrozenImageBeginning(config.trained_part, clip)
                         : FrozenBeginning()),
      frozen_texts_(config.savings.cache_frozen
                        ? FrozenTextBeginning(config.trained_part, clip)
                        : FrozenBeginning()),
      base_(base),
      data_(data),
      pixels_(pixels),
      longest_text_(LongestText(*data)),
      base_images_(
          frozen_images_.whole
              ? ImagesByFirstUse(config, objective, *data)
              : ReferenceImagesByFirstUse(config, objective, *data),
          ImageGroup(config),
          [this](absl::Span<const int64_t> images) {
            return EncodeImages(base_, images);
          },
          kEverything, OnDevice(data->known_embeddings, device_)),
      base_texts_(TextsByFirstUse(config, objective, *data), kTextGroup,
                  [this](absl::Span<const int64_t> texts) {
                    return EncodeTexts(base_, texts);
                  }),
      image_states_(
          ImagesByFirstUse(config, objective, *data), ImageGroup(config),
          [this](absl::Span<const int64_t> images) {
            return ImageStates(images);
          },
          KeptStates(config, ImageTokens(clip), clip.vision_width)),
      text_states_(
          TextsByFirstUse(config, objective, *data), kTextGroup,
          [this](absl::Span<const int64_t> texts) { return TextStates(texts); },
          KeptStates(config, longest_text_, clip.text_width)) {}

absl::StatusOr<at::Tensor> Encoder::Images(const model::Tensors& tensors,
                                           absl::Span<const int64_t> images) {
  return frozen_images_.whole ? BaseImages(images)
                              : EncodeImages(tensors, images);
}

absl::StatusOr<at::Tensor> Encoder::Texts(const model::Tensors& tensors,
                                          absl::Span<const int64_t> texts) {
  return frozen_texts_.whole ? BaseTexts(texts) : EncodeTexts(tensors, texts);
}

absl::StatusOr<at::Tensor> Encoder::BaseImages(
    absl::Span<const int64_t> images) {
  return base_images_.Rows(images);
}

absl::StatusOr<at::Tensor> Encoder::BaseTexts(absl::Span<const int64_t> texts) {
  return base_texts_.Rows(texts);
}

absl::StatusOr<at::Tensor> Encoder::EncodeImages(
    const model::Tensors& tensors, absl::Span<const int64_t> images) {
  worked_();
  if (frozen_images_.any && !frozen_images_.whole) {
    ATTUNE_ASSIGN_OR_RETURN(const at::Tensor states,
                            image_states_.Rows(images));
    return model::Normalised(model::ImagesFromStates(
        clip_, tensors, states, frozen_images_.blocks, options_));
  }
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor pixels, pixels_->Pixels(images));
  return model::Normalised(model::EncodeImages(
      clip_, tensors, model::Upload(pixels, device_), options_));
}

absl::StatusOr<at::Tensor> Encoder::EncodeTexts(
    const model::Tensors& tensors, absl::Span<const int64_t> texts) {
  worked_();
  if (frozen_texts_.any && !frozen_texts_.whole) {
    ATTUNE_ASSIGN_OR_RETURN(const at::Tensor states, text_states_.Rows(texts));
    ATTUNE_RETURN_IF_ERROR(Pack(texts));
    return model::Normalised(model::TextsFromStates(
        clip_, tensors, packed_, model::StatesOfRows(packed_, states),
        frozen_texts_.blocks, options_));
  }
  ATTUNE_RETURN_IF_ERROR(Pack(texts));
  return model::Normalised(
      model::EncodeTexts(clip_, tensors, packed_, options_));
}

absl::StatusOr<at::Tensor> Encoder::ImageStates(
    absl::Span<const int64_t> images) {
  worked_();
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor pixels, pixels_->Pixels(images));
  return model::ImageStates(clip_, base_, model::Upload(pixels, device_),
                            frozen_images_.blocks, options_);
}

absl::StatusOr<at::Tensor> Encoder::TextStates(
    absl::Span<const int64_t> texts) {
  worked_();
  ATTUNE_RETURN_IF_ERROR(Pack(texts));
  const at::Tensor states = model::StatesOfTexts(
      packed_, model::TextStates(clip_, base_, packed_, frozen_texts_.blocks,
                                 options_));  // [n, T, W]
  return at::constant_pad_nd(states, {0, 0, 0, longest_text_ - states.size(1)});
}

absl::Status Encoder::Pack(absl::Span<const int64_t> texts) {
  if (std::equal(texts.begin(), texts.end(), packed_texts_.begin(),
                 packed_texts_.end())) {
    return absl::OkStatus();
  }
  std::vector<std::vector<int32_t>> rows;
  rows.reserve(texts.size());
  for (int64_t text : texts) rows.push_back(data_->texts[text]);
  ATTUNE_ASSIGN_OR_RETURN(const model::TextBatch batch,
                          share_prefixes_ ? model::PackTexts(rows, clip_)
                                          : model::SeparateTexts(rows, clip_));
  packed_ = batch.To(device_);
  packed_texts_.assign(texts.begin(), texts.end());
  return absl::OkStatus();
}

}  // namespace attune::train
