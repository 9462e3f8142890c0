#ifndef ATTUNE_TESTS_SERVER_CORE_MODELS_CLIP_FILE_H_
#define ATTUNE_TESTS_SERVER_CORE_MODELS_CLIP_FILE_H_

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/safetensors/clip_layout.h"
#include "common/safetensors/safetensors.h"

namespace attune::core {

// The smallest CLIP that is one: 22,000 parameters times the vocabulary's 64.
inline ClipConfig SmallClip() {
  return {.image_size = 32,
          .patch_size = 16,
          .vision_width = 64,
          .vision_layers = 1,
          .vision_heads = 1,
          .text_width = 64,
          .text_layers = 1,
          .text_heads = 1,
          .context_length = 16,
          .vocabulary_size = 300,
          .embedding_size = 8};
}

// Its safetensors file. Every value is 0.25; logit_scale is 2. `overrides`
// replaces the bytes of tensors by name; with those of a linear head the file
// has one. `halves` are of fp16, with bytes of their own.
inline std::string ClipFile(
    const ClipConfig& config,
    const std::map<std::string, std::string>& overrides = {},
    const std::set<std::string>& halves = {}) {
  TensorShapes names;
  for (const auto& [name, bytes] : overrides) names[name];
  std::vector<safetensors::TensorInfo> tensors;
  for (const auto& [name, shape] :
       WithHeadLike(ExpectedTensors(config), config, names)) {
    tensors.push_back({.name = name,
                       .data_type = halves.count(name) > 0
                                        ? safetensors::DataType::kFloat16
                                        : safetensors::DataType::kFloat32,
                       .shape = shape});
  }
  std::string file = safetensors::WriteHeader(tensors, ClipMetadata(config));
  for (const safetensors::TensorInfo& tensor : tensors) {
    if (const auto found = overrides.find(tensor.name);
        found != overrides.end()) {
      file += found->second;
      continue;
    }
    const float value = tensor.name == "logit_scale" ? 2.0f : 0.25f;
    std::string bytes(*safetensors::TensorBytes(tensor.data_type, tensor.shape),
                      '\0');
    for (size_t i = 0; i < bytes.size(); i += sizeof(float)) {
      std::memcpy(&bytes[i], &value, sizeof(float));
    }
    file += bytes;
  }
  return file;
}

// The bytes of fp32 values.
inline std::string FloatBytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(float)};
}

}  // namespace attune::core

#endif  // ATTUNE_TESTS_SERVER_CORE_MODELS_CLIP_FILE_H_
