// The writing half of clip_files.h.

#include <array>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/safetensors/clip_files.h"
#include "nlohmann/json.hpp"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

// The shortest numbers that give the floats back, as the published files
// have them: 0.48145466 and not 0.4814546704292297.
Json Channels(const std::array<float, 3>& values) {
  Json channels = Json::array();
  for (float value : values) {
    for (int digits = 6; digits <= 9; ++digits) {
      const std::string text = absl::StrFormat("%.*g", digits, value);
      float back = 0;
      double written = 0;
      if (absl::SimpleAtof(text, &back) && back == value &&
          absl::SimpleAtod(text, &written)) {
        channels.push_back(written);
        break;
      }
    }
  }
  return channels;
}

std::string FileOf(const Json& json) { return json.dump(2) + "\n"; }

}  // namespace

std::string HuggingFaceConfigFile(const ClipConfig& config) {
  const char* activation =
      config.activation == Activation::kGelu ? "gelu" : "quick_gelu";
  return FileOf({
      {"architectures", Json::array({"CLIPModel"})},
      {"model_type", "clip"},
      {"projection_dim", config.embedding_size},
      {"text_config",
       {{"model_type", "clip_text_model"},
        {"hidden_size", config.text_width},
        {"intermediate_size", 4 * config.text_width},
        {"num_hidden_layers", config.text_layers},
        {"num_attention_heads", config.text_heads},
        {"max_position_embeddings", config.context_length},
        {"vocab_size", config.vocabulary_size},
        // The last two of the vocabulary, as the tokenizer has them.
        {"bos_token_id", config.vocabulary_size - 2},
        {"eos_token_id", config.vocabulary_size - 1},
        {"projection_dim", config.embedding_size},
        {"hidden_act", activation},
        {"layer_norm_eps", 1e-5}}},
      {"vision_config",
       {{"model_type", "clip_vision_model"},
        {"hidden_size", config.vision_width},
        {"intermediate_size", 4 * config.vision_width},
        {"num_hidden_layers", config.vision_layers},
        {"num_attention_heads", config.vision_heads},
        {"image_size", config.image_size},
        {"patch_size", config.patch_size},
        {"projection_dim", config.embedding_size},
        {"hidden_act", activation},
        {"layer_norm_eps", 1e-5}}},
  });
}

std::string HuggingFacePreprocessorFile(const ClipConfig& config) {
  return FileOf({
      {"image_processor_type", "CLIPImageProcessor"},
      {"do_convert_rgb", true},
      {"do_resize", true},
      {"size", {{"shortest_edge", config.image_size}}},
      // Bicubic.
      {"resample", 3},
      {"do_center_crop", true},
      {"crop_size",
       {{"height", config.image_size}, {"width", config.image_size}}},
      {"do_rescale", true},
      {"rescale_factor", 1.0 / 255},
      {"do_normalize", true},
      {"image_mean", Channels(config.pixel_mean)},
      {"image_std", Channels(config.pixel_deviation)},
  });
}

std::string OpenClipConfigFile(const ClipConfig& config) {
  return FileOf({
      {"model_cfg",
       {{"embed_dim", config.embedding_size},
        {"quick_gelu", config.activation == Activation::kQuickGelu},
        {"vision_cfg",
         {{"image_size", config.image_size},
          {"layers", config.vision_layers},
          {"width", config.vision_width},
          {"head_width", config.vision_width / config.vision_heads},
          {"patch_size", config.patch_size}}},
        {"text_cfg",
         {{"context_length", config.context_length},
          {"vocab_size", config.vocabulary_size},
          {"width", config.text_width},
          {"heads", config.text_heads},
          {"layers", config.text_layers}}}}},
      {"preprocess_cfg",
       {{"mean", Channels(config.pixel_mean)},
        {"std", Channels(config.pixel_deviation)},
        {"interpolation", "bicubic"},
        {"resize_mode", "shortest"}}},
  });
}

}  // namespace attune
