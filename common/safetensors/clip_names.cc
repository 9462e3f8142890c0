#include "common/safetensors/clip_names.h"

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/safetensors/clip_error.h"

namespace attune {
namespace {

using Renaming = std::pair<absl::string_view, absl::string_view>;

// OpenAI's name, or its beginning where it ends with a dot, and Hugging
// Face's.
constexpr std::array<Renaming, 13> kHuggingFaceNames = {{
    {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
    {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"},
    {"visual.positional_embedding",
     "vision_model.embeddings.position_embedding.weight"},
    // As it is spelled there.
    {"visual.ln_pre.", "vision_model.pre_layrnorm."},
    {"visual.transformer.resblocks.", "vision_model.encoder.layers."},
    {"visual.ln_post.", "vision_model.post_layernorm."},
    {"visual.proj", "visual_projection.weight"},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"transformer.resblocks.", "text_model.encoder.layers."},
    {"ln_final.", "text_model.final_layer_norm."},
    {"text_projection", "text_projection.weight"},
    {"logit_scale", "logit_scale"},
}};

// Within a block.
constexpr std::array<Renaming, 5> kHuggingFaceBlockNames = {{
    {".attn.out_proj.", ".self_attn.out_proj."},
    {".ln_1.", ".layer_norm1."},
    {".ln_2.", ".layer_norm2."},
    {".mlp.c_fc.", ".mlp.fc1."},
    {".mlp.c_proj.", ".mlp.fc2."},
}};

constexpr std::array<absl::string_view, 3> kQueryKeyValue = {"q", "k", "v"};

std::string HuggingFaceName(absl::string_view name) {
  std::string renamed(name);
  for (const auto& [ours, theirs] : kHuggingFaceNames) {
    const bool is_prefix = absl::EndsWith(ours, ".");
    if (is_prefix ? absl::StartsWith(name, ours) : name == ours) {
      renamed = absl::StrCat(theirs, name.substr(ours.size()));
      break;
    }
  }
  for (const auto& [ours, theirs] : kHuggingFaceBlockNames) {
    const size_t at = renamed.find(std::string(ours));
    if (at != std::string::npos) {
      renamed.replace(at, ours.size(), theirs.data(), theirs.size());
    }
  }
  return renamed;
}

void AddHuggingFace(const std::string& source, const safetensors::Shape& shape,
                    std::vector<LayoutTensor>& tensors) {
  constexpr absl::string_view kInProjection = ".attn.in_proj_";
  const std::string name = HuggingFaceName(source);
  const size_t at = name.find(std::string(kInProjection));
  if (at == std::string::npos) {
    const bool transposed =
        source == "visual.proj" || source == "text_projection";
    tensors.push_back(
        {.name = name,
         .shape = transposed ? safetensors::Shape{shape[1], shape[0]} : shape,
         .source = source,
         .transposed = transposed});
    return;
  }
  const std::string block = name.substr(0, at);
  // "weight" or "bias".
  const std::string kind = name.substr(at + kInProjection.size());
  safetensors::Shape part = shape;
  part[0] /= 3;
  for (size_t i = 0; i < kQueryKeyValue.size(); ++i) {
    tensors.push_back({.name = absl::StrCat(block, ".self_attn.",
                                            kQueryKeyValue[i], "_proj.", kind),
                       .shape = part,
                       .source = source,
                       .first_row = static_cast<int64_t>(i) * part[0]});
  }
}

// Whether some name begins so.
bool HasPrefix(const TensorShapes& shapes, absl::string_view prefix) {
  const auto it = shapes.lower_bound(std::string(prefix));
  return it != shapes.end() && absl::StartsWith(it->first, prefix);
}

}  // namespace

absl::string_view LayoutName(ClipLayout layout) {
  switch (layout) {
    case ClipLayout::kOpenAi:
      return "OpenAI";
    case ClipLayout::kCustomText:
      return "open_clip with a text tower of its own";
    case ClipLayout::kHuggingFace:
      return "Hugging Face";
  }
  return "";
}

std::vector<LayoutTensor> LayoutTensors(const ClipConfig& config,
                                        ClipLayout layout) {
  std::vector<LayoutTensor> tensors;
  for (const auto& [source, shape] : ExpectedTensors(config)) {
    if (layout == ClipLayout::kHuggingFace) {
      AddHuggingFace(source, shape, tensors);
      continue;
    }
    const bool prefixed = layout == ClipLayout::kCustomText &&
                          !absl::StartsWith(source, "visual.") &&
                          source != "logit_scale";
    tensors.push_back({.name = absl::StrCat(prefixed ? "text." : "", source),
                       .shape = shape,
                       .source = source});
  }
  return tensors;
}

absl::StatusOr<ClipLayout> DetectLayout(const TensorShapes& shapes) {
  if (HasPrefix(shapes, "visual.layer1.") ||
      HasPrefix(shapes, "visual.attnpool.")) {
    return UnsupportedTower(
        "the image tower is a ResNet; Vision Transformers (ViT) are "
        "supported");
  }
  if (HasPrefix(shapes, "visual.trunk.")) {
    return UnsupportedTower(
        "the image tower is one of timm's; CLIP's own Vision Transformers "
        "(ViT) are supported");
  }
  if (HasPrefix(shapes, "text.transformer.encoder.") ||
      HasPrefix(shapes, "text.transformer.embeddings.")) {
    return UnsupportedTower(
        "the text tower is a language model of Hugging Face's; CLIP's own "
        "text transformer is supported");
  }
  if (HasPrefix(shapes, "vision_model.") || HasPrefix(shapes, "text_model.")) {
    return ClipLayout::kHuggingFace;
  }
  if (HasPrefix(shapes, "text.")) return ClipLayout::kCustomText;
  if (HasPrefix(shapes, "visual.") || HasPrefix(shapes, "transformer.")) {
    return ClipLayout::kOpenAi;
  }
  return InvalidClip(absl::StrCat(
      shapes.empty()
          ? "there is no tensor"
          : absl::StrCat("tensor ", QuotedName(shapes.begin()->first),
                         " belongs to no layout that is known"),
      "; CLIP models of OpenAI, open_clip and Hugging Face (CLIPModel) are "
      "read"));
}

bool IsBookkeeping(absl::string_view name) {
  return name == "input_resolution" || name == "context_length" ||
         name == "vocab_size" || name == "attn_mask" ||
         name == "text.attn_mask" ||
         name == "text_model.embeddings.position_ids" ||
         name == "vision_model.embeddings.position_ids";
}

}  // namespace attune
