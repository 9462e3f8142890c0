#include "worker/model/init.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include <cmath>

#include "absl/strings/match.h"
#include "common/error.h"

namespace attune::model {
namespace {

constexpr int kVocabularySize = 49408;
// The inverse of OpenAI's first temperature, 0.07.
const double kLogitScale = std::log(1 / 0.07);

ClipConfig VisionTransformer(int patch_size, int width, int layers,
                             int text_width) {
  return {.image_size = 224,
          .patch_size = patch_size,
          .vision_width = width,
          .vision_layers = layers,
          .vision_heads = width / 64,
          .text_width = text_width,
          .text_layers = 12,
          .text_heads = text_width / 64,
          .context_length = 77,
          .vocabulary_size = kVocabularySize,
          .embedding_size = text_width};
}

const std::vector<std::pair<std::string, ClipConfig>>& Architectures() {
  static const auto* const architectures =
      new std::vector<std::pair<std::string, ClipConfig>>{
          {"tiny",
           {.image_size = 48,
            .patch_size = 12,
            .vision_width = 128,
            .vision_layers = 3,
            .vision_heads = 4,
            .text_width = 64,
            .text_layers = 2,
            .text_heads = 4,
            .context_length = 16,
            .vocabulary_size = kVocabularySize,
            .embedding_size = 64}},
          {"ViT-B-32", VisionTransformer(32, 768, 12, 512)},
          {"ViT-B-16", VisionTransformer(16, 768, 12, 512)},
          {"ViT-L-14", VisionTransformer(14, 1024, 24, 768)},
      };
  return *architectures;
}

// How one tensor is filled.
struct Fill {
  enum { kConstant, kNormal, kUniform } kind;
  // The constant, the deviation, or half the width of the interval about 0.
  double value;
};

// PyTorch's default for the weight and bias of linear and convolution layers.
Fill PyTorchDefault(double inputs) {
  return {Fill::kUniform, 1 / std::sqrt(inputs)};
}

Fill FillOf(const std::string& name, const safetensors::Shape& shape,
            const ClipConfig& config) {
  const bool vision = absl::StartsWith(name, "visual.");
  const double width = vision ? config.vision_width : config.text_width;
  const auto ends = [&](absl::string_view suffix) {
    return absl::EndsWith(name, suffix);
  };
  if (name == "logit_scale") return {Fill::kConstant, kLogitScale};
  if (name == "token_embedding.weight") return {Fill::kNormal, 0.02};
  if (name == "positional_embedding") return {Fill::kNormal, 0.01};
  if (name == "visual.conv1.weight") {
    return PyTorchDefault(static_cast<double>(shape[1] * shape[2] * shape[3]));
  }
  if (absl::StrContains(name, "ln_")) {
    return {Fill::kConstant, ends("weight") ? 1.0 : 0.0};
  }
  if (ends("attn.in_proj_bias") || ends("attn.out_proj.bias")) {
    return {Fill::kConstant, 0};
  }
  if (ends("c_fc.bias")) return PyTorchDefault(width);
  if (ends("c_proj.bias")) return PyTorchDefault(4 * width);
  if (absl::StrContains(name, "resblocks") && vision) {
    // Xavier with 3·W outputs; the other layers have PyTorch's default.
    if (ends("in_proj_weight")) {
      return {Fill::kUniform, std::sqrt(6 / (4 * width))};
    }
    return PyTorchDefault(static_cast<double>(shape[1]));
  }
  if (ends("c_fc.weight")) return {Fill::kNormal, 1 / std::sqrt(2 * width)};
  if (ends("out_proj.weight") || ends("c_proj.weight")) {
    return {Fill::kNormal, 1 / std::sqrt(width * 2 * config.text_layers)};
  }
  // in_proj_weight of the text tower, both projections, the class and the
  // image's positional embedding.
  return {Fill::kNormal, 1 / std::sqrt(width)};
}

}  // namespace

const std::vector<std::string>& ArchitectureNames() {
  static const auto* const names = [] {
    auto* list = new std::vector<std::string>;
    for (const auto& [name, config] : Architectures()) list->push_back(name);
    return list;
  }();
  return *names;
}

absl::StatusOr<ClipConfig> NamedConfig(absl::string_view name) {
  for (const auto& [known, config] : Architectures()) {
    if (known == name) return config;
  }
  return NotFound("architecture", name);
}

Tensors RandomTensors(const ClipConfig& config, uint64_t seed) {
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  Tensors tensors;
  // In the order of the names, so that the seed decides everything.
  for (const auto& [name, shape] : ExpectedTensors(config)) {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    const Fill fill = FillOf(name, shape, config);
    switch (fill.kind) {
      case Fill::kConstant:
        tensor.fill_(fill.value);
        break;
      case Fill::kNormal:
        tensor.normal_(0, fill.value, generator);
        break;
      case Fill::kUniform:
        tensor.uniform_(-fill.value, fill.value, generator);
        break;
    }
    tensors[name] = tensor;
  }
  return tensors;
}

}  // namespace attune::model
