#include "common/safetensors/clip_files.h"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/safetensors/clip_error.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace attune {
namespace {

using Json = nlohmann::json;

absl::StatusOr<Json> ParseObject(absl::string_view text) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return InvalidClip("it is no JSON object");
  return json;
}

// A part of a file: an object, with the name that messages give it.
struct Section {
  std::string name = {};
  Json values = Json::object();

  // The value, or null where the key is absent.
  Json Get(const char* key) const {
    const auto found = values.find(key);
    return found == values.end() ? Json() : *found;
  }
  std::string Name(const char* key) const {
    return name.empty() ? key : absl::StrCat(name, ".", key);
  }
};

absl::StatusOr<Section> GetSection(const Json& parent, const char* key) {
  Section section{.name = key};
  const auto found = parent.find(key);
  if (found == parent.end() || found->is_null()) return section;
  if (!found->is_object()) {
    return InvalidClip(absl::StrCat(key, " is no object"));
  }
  section.values = *found;
  return section;
}

std::string Dump(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace)
      .substr(0, 100);
}

// A key whose value must be one of `accepted`, or absent, or null.
absl::Status Expect(const Section& section, const char* key,
                    const std::vector<Json>& accepted) {
  const Json value = section.Get(key);
  if (value.is_null()) return absl::OkStatus();
  for (const Json& one : accepted) {
    if (value == one) return absl::OkStatus();
  }
  return InvalidClip(absl::StrCat(
      section.Name(key), " is ", Dump(value),
      accepted.empty()
          ? "; models with it are not supported"
          : absl::StrCat("; ", Dump(accepted[0]), " is what is supported")));
}

// A size that must be the tensors'; `absent` is what its absence means.
absl::Status CheckSize(const Section& section, const char* key, int size,
                       int absent) {
  const Json value = section.Get(key);
  if (value.is_null() ? absent == size : value == Json(size)) {
    return absl::OkStatus();
  }
  return InvalidClip(
      absl::StrCat(section.Name(key), " is ",
                   value.is_null() ? absl::StrCat(absent) : Dump(value),
                   "; the tensors have ", size));
}

// A number of heads, which must divide the width.
absl::Status ReadHeads(const Section& section, const char* key, int absent,
                       int width, int& heads) {
  const Json value = section.Get(key);
  int64_t number = absent;
  if (!value.is_null()) {
    number = value.is_number_integer() ? value.get<int64_t>() : 0;
  }
  if (number <= 0 || number > width || width % number != 0) {
    return InvalidClip(
        absl::StrCat(section.Name(key), " is ",
                     value.is_null() ? absl::StrCat(absent) : Dump(value),
                     ", which does not divide the width ", width));
  }
  heads = static_cast<int>(number);
  return absl::OkStatus();
}

absl::Status ReadChannels(const Section& section, const char* key,
                          bool positive, std::array<float, 3>& channels) {
  const Json value = section.Get(key);
  if (value.is_null()) return absl::OkStatus();
  bool valid = value.is_array() && value.size() == channels.size();
  for (size_t c = 0; valid && c < channels.size(); ++c) {
    valid = value[c].is_number();
    if (!valid) break;
    channels[c] = value[c].get<float>();
    valid = std::isfinite(channels[c]) && (!positive || channels[c] > 0);
  }
  if (valid) return absl::OkStatus();
  return InvalidClip(absl::StrCat(section.Name(key), " is ", Dump(value),
                                  "; three numbers are needed"));
}

// transformers' name of an activation.
absl::StatusOr<Activation> ReadHiddenAct(const Section& section) {
  const Json value = section.Get("hidden_act");
  if (value.is_null() || value == "quick_gelu") return Activation::kQuickGelu;
  if (value == "gelu") return Activation::kGelu;
  return InvalidClip(absl::StrCat(section.Name("hidden_act"), " is ",
                                  Dump(value),
                                  "; quick_gelu or gelu is supported"));
}

// Sizes that both towers have. What is absent has the default of
// transformers' CLIPVisionConfig and CLIPTextConfig.
absl::Status CheckTower(const Section& tower, int width, int layers,
                        int default_width) {
  ATTUNE_RETURN_IF_ERROR(CheckSize(tower, "hidden_size", width, default_width));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(tower, "intermediate_size", 4 * width, 4 * default_width));
  ATTUNE_RETURN_IF_ERROR(CheckSize(tower, "num_hidden_layers", layers, 12));
  return Expect(tower, "layer_norm_eps", {1e-5});
}

absl::Status ReadHuggingFace(const Json& json, ClipConfig& config) {
  const Section root{.values = json};
  ATTUNE_RETURN_IF_ERROR(Expect(root, "model_type", {"clip"}));
  ATTUNE_ASSIGN_OR_RETURN(const Section vision,
                          GetSection(json, "vision_config"));
  ATTUNE_ASSIGN_OR_RETURN(const Section text, GetSection(json, "text_config"));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(root, "projection_dim", config.embedding_size, 512));
  ATTUNE_RETURN_IF_ERROR(
      CheckTower(vision, config.vision_width, config.vision_layers, 768));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(vision, "image_size", config.image_size, 224));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(vision, "patch_size", config.patch_size, 32));
  ATTUNE_RETURN_IF_ERROR(
      CheckTower(text, config.text_width, config.text_layers, 512));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(text, "vocab_size", config.vocabulary_size, 49408));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(text, "max_position_embeddings", config.context_length, 77));
  ATTUNE_RETURN_IF_ERROR(ReadHeads(vision, "num_attention_heads", 12,
                                   config.vision_width, config.vision_heads));
  ATTUNE_RETURN_IF_ERROR(ReadHeads(text, "num_attention_heads", 8,
                                   config.text_width, config.text_heads));
  ATTUNE_ASSIGN_OR_RETURN(config.activation, ReadHiddenAct(vision));
  ATTUNE_ASSIGN_OR_RETURN(const Activation text_activation,
                          ReadHiddenAct(text));
  if (text_activation != config.activation) {
    return InvalidClip(
        "vision_config.hidden_act and text_config.hidden_act differ; one "
        "activation for both towers is supported");
  }
  return absl::OkStatus();
}

// Options of open_clip's towers that change what is computed.
absl::Status CheckOpenClipOptions(const Section& vision, const Section& text) {
  for (const char* key : {"timm_model_name", "ls_init_value", "act_kwargs",
                          "norm_kwargs", "block_type"}) {
    ATTUNE_RETURN_IF_ERROR(Expect(vision, key, {}));
  }
  for (const char* key :
       {"attentional_pool", "no_ln_pre", "final_ln_after_pool",
        "input_patchnorm", "global_average_pool", "qk_norm"}) {
    ATTUNE_RETURN_IF_ERROR(Expect(vision, key, {false}));
  }
  ATTUNE_RETURN_IF_ERROR(Expect(vision, "pool_type", {"tok"}));
  ATTUNE_RETURN_IF_ERROR(Expect(vision, "pos_embed_type", {"learnable"}));
  for (const char* key : {"hf_model_name", "hf_tokenizer_name", "ls_init_value",
                          "act_kwargs", "norm_kwargs", "block_type"}) {
    ATTUNE_RETURN_IF_ERROR(Expect(text, key, {}));
  }
  for (const char* key : {"embed_cls", "no_causal_mask", "final_ln_after_pool",
                          "proj_bias", "qk_norm"}) {
    ATTUNE_RETURN_IF_ERROR(Expect(text, key, {false}));
  }
  return Expect(text, "pool_type", {"argmax"});
}

absl::Status ReadOpenClipModel(const Json& json, ClipConfig& config) {
  const Section root{.values = json};
  ATTUNE_ASSIGN_OR_RETURN(const Section vision, GetSection(json, "vision_cfg"));
  ATTUNE_ASSIGN_OR_RETURN(const Section text, GetSection(json, "text_cfg"));
  if (vision.Get("layers").is_array()) {
    return UnsupportedTower(
        "the image tower is a ResNet; Vision Transformers (ViT) are "
        "supported");
  }
  ATTUNE_RETURN_IF_ERROR(Expect(root, "multimodal_cfg", {}));
  ATTUNE_RETURN_IF_ERROR(CheckOpenClipOptions(vision, text));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(root, "embed_dim", config.embedding_size, -1));
  ATTUNE_RETURN_IF_ERROR(CheckSize(vision, "width", config.vision_width, 768));
  ATTUNE_RETURN_IF_ERROR(CheckSize(vision, "layers", config.vision_layers, 12));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(vision, "patch_size", config.patch_size, 16));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(vision, "image_size", config.image_size, 224));
  ATTUNE_RETURN_IF_ERROR(CheckSize(text, "width", config.text_width, 512));
  ATTUNE_RETURN_IF_ERROR(CheckSize(text, "layers", config.text_layers, 12));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(text, "context_length", config.context_length, 77));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(text, "vocab_size", config.vocabulary_size, 49408));
  // open_clip counts a head's width for pictures, the heads for texts.
  int head_width = 0;
  ATTUNE_RETURN_IF_ERROR(
      ReadHeads(vision, "head_width", 64, config.vision_width, head_width));
  config.vision_heads = config.vision_width / head_width;
  ATTUNE_RETURN_IF_ERROR(
      ReadHeads(text, "heads", 8, config.text_width, config.text_heads));
  ATTUNE_RETURN_IF_ERROR(Expect(root, "quick_gelu", {false, true}));
  config.activation = root.Get("quick_gelu") == true ? Activation::kQuickGelu
                                                     : Activation::kGelu;
  return absl::OkStatus();
}

absl::Status ReadOpenClip(const Json& json, ClipConfig& config) {
  if (!json.contains("model_cfg")) return ReadOpenClipModel(json, config);
  ATTUNE_ASSIGN_OR_RETURN(const Section model, GetSection(json, "model_cfg"));
  ATTUNE_RETURN_IF_ERROR(ReadOpenClipModel(model.values, config));
  ATTUNE_ASSIGN_OR_RETURN(const Section preprocess,
                          GetSection(json, "preprocess_cfg"));
  ATTUNE_RETURN_IF_ERROR(Expect(preprocess, "interpolation", {"bicubic"}));
  ATTUNE_RETURN_IF_ERROR(Expect(preprocess, "resize_mode", {"shortest"}));
  ATTUNE_RETURN_IF_ERROR(
      ReadChannels(preprocess, "mean", false, config.pixel_mean));
  return ReadChannels(preprocess, "std", true, config.pixel_deviation);
}

// A picture's size in preprocessor_config.json: a number, or an object with
// `keys`.
absl::Status CheckPictureSize(const Section& section, const char* key,
                              const std::vector<const char*>& keys, int size) {
  const Json value = section.Get(key);
  bool valid = value.is_null() || value == Json(size);
  if (value.is_object()) {
    valid = true;
    for (const char* side : keys) {
      valid = valid && value.contains(side) && value[side] == Json(size);
    }
  }
  if (valid) return absl::OkStatus();
  return InvalidClip(absl::StrCat(key, " is ", Dump(value),
                                  "; the shorter side scaled to ", size,
                                  " and cropped to a square is supported"));
}

}  // namespace

absl::Status ReadClipConfigFile(absl::string_view text, ClipConfig& config) {
  ATTUNE_ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  if (json.contains("model_cfg") || json.contains("vision_cfg")) {
    return ReadOpenClip(json, config);
  }
  if (json.contains("vision_config") || json.contains("text_config")) {
    return ReadHuggingFace(json, config);
  }
  return InvalidClip(
      "it has neither vision_config (Hugging Face) nor vision_cfg "
      "(open_clip)");
}

absl::Status ReadPreprocessorFile(absl::string_view text, ClipConfig& config) {
  ATTUNE_ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  const Section root{.values = json};
  for (const char* key :
       {"do_resize", "do_center_crop", "do_normalize", "do_rescale"}) {
    ATTUNE_RETURN_IF_ERROR(Expect(root, key, {true}));
  }
  // 3: bicubic.
  ATTUNE_RETURN_IF_ERROR(Expect(root, "resample", {3}));
  ATTUNE_RETURN_IF_ERROR(
      CheckPictureSize(root, "size", {"shortest_edge"}, config.image_size));
  ATTUNE_RETURN_IF_ERROR(CheckPictureSize(
      root, "crop_size", {"height", "width"}, config.image_size));
  ATTUNE_RETURN_IF_ERROR(
      ReadChannels(root, "image_mean", false, config.pixel_mean));
  return ReadChannels(root, "image_std", true, config.pixel_deviation);
}

}  // namespace attune
