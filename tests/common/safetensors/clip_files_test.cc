#include "common/safetensors/clip_files.h"

#include <gmock/gmock.h>

#include "common/error.h"
#include "nlohmann/json.hpp"

namespace attune {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

ClipConfig Full() {
  return {.image_size = 224,
          .patch_size = 14,
          .vision_width = 1280,
          .vision_layers = 32,
          .vision_heads = 16,
          .text_width = 1024,
          .text_layers = 24,
          .text_heads = 16,
          .context_length = 77,
          .vocabulary_size = 49408,
          .embedding_size = 1024,
          .activation = Activation::kGelu,
          .pixel_mean = {0.48145466f, 0.1f, 1 / 3.f},
          .pixel_deviation = {0.26862954f, 0.5f, 1}};
}

// What shapes say of it.
ClipConfig SizesOf(ClipConfig config) {
  config.vision_heads = 0;
  config.text_heads = 0;
  config.activation = Activation::kQuickGelu;
  config.pixel_mean = ClipConfig().pixel_mean;
  config.pixel_deviation = ClipConfig().pixel_deviation;
  return config;
}

TEST(ClipFilesTest, HuggingFacesFilesAreReadAsWritten) {
  ClipConfig config = SizesOf(Full());
  ASSERT_TRUE(ReadClipConfigFile(HuggingFaceConfigFile(Full()), config).ok());
  ASSERT_TRUE(
      ReadPreprocessorFile(HuggingFacePreprocessorFile(Full()), config).ok());
  EXPECT_EQ(config, Full());
}

TEST(ClipFilesTest, OpenClipsFileIsReadAsWritten) {
  ClipConfig config = SizesOf(Full());
  ASSERT_TRUE(ReadClipConfigFile(OpenClipConfigFile(Full()), config).ok());
  EXPECT_EQ(config, Full());
}

TEST(ClipFilesTest, NumbersAreWrittenShort) {
  EXPECT_THAT(HuggingFacePreprocessorFile(Full()), HasSubstr("0.48145467,"));
}

// OpenAI's models on the hub say nothing that is a default.
TEST(ClipFilesTest, WhatHuggingFaceLeavesOutIsViTB32) {
  ClipConfig config = {.image_size = 224,
                       .patch_size = 32,
                       .vision_width = 768,
                       .vision_layers = 12,
                       .text_width = 512,
                       .text_layers = 12,
                       .context_length = 77,
                       .vocabulary_size = 49408,
                       .embedding_size = 512};
  ASSERT_TRUE(
      ReadClipConfigFile(
          R"({"model_type": "clip", "vision_config": {}, "text_config": null})",
          config)
          .ok());
  EXPECT_EQ(config.vision_heads, 12);
  EXPECT_EQ(config.text_heads, 8);
  EXPECT_EQ(config.activation, Activation::kQuickGelu);
}

// A model configuration as open_clip's package has it, without the wrapping.
TEST(ClipFilesTest, OpenClipsModelConfigurationIsReadToo) {
  ClipConfig config = SizesOf(Full());
  ASSERT_TRUE(ReadClipConfigFile(R"({
      "embed_dim": 1024,
      "vision_cfg": {"image_size": 224, "layers": 32, "width": 1280,
                     "head_width": 80, "patch_size": 14},
      "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024,
                   "heads": 16, "layers": 24}})",
                                 config)
                  .ok());
  EXPECT_EQ(config.vision_heads, 16);
  EXPECT_EQ(config.text_heads, 16);
  EXPECT_EQ(config.activation, Activation::kGelu);
}

struct Change {
  std::string pointer;
  Json value;
  std::string message;
};

void ExpectRefused(const std::string& file, const Change& change, bool is_main,
                   const std::string& reason = "INVALID_CLIP") {
  Json json = Json::parse(file);
  json[Json::json_pointer(change.pointer)] = change.value;
  ClipConfig config = SizesOf(Full());
  const absl::Status status = is_main
                                  ? ReadClipConfigFile(json.dump(), config)
                                  : ReadPreprocessorFile(json.dump(), config);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), reason) << change.pointer;
  EXPECT_THAT(status.message(), HasSubstr(change.message));
}

TEST(ClipFilesTest, WhatIsNotComputedHereIsRefusedByName) {
  const std::string hugging_face = HuggingFaceConfigFile(Full());
  for (const Change& change : std::vector<Change>{
           {"/vision_config/num_hidden_layers", 31,
            "vision_config.num_hidden_layers is 31; the tensors have 32"},
           {"/text_config/hidden_size", "wide", "text_config.hidden_size"},
           {"/projection_dim", nullptr, "projection_dim is 512"},
           {"/vision_config/num_attention_heads", 7,
            "vision_config.num_attention_heads is 7"},
           {"/vision_config/hidden_act", "gelu_new",
            "vision_config.hidden_act is \"gelu_new\""},
           {"/text_config/hidden_act", "quick_gelu", "differ"},
           {"/text_config/layer_norm_eps", 1e-6, "layer_norm_eps"},
           {"/model_type", "siglip", "model_type"},
           {"/text_config", 3, "text_config is no object"}}) {
    ExpectRefused(hugging_face, change, true);
  }
  const std::string open_clip = OpenClipConfigFile(Full());
  for (const Change& change : std::vector<Change>{
           {"/model_cfg/embed_dim", nullptr, "embed_dim"},
           {"/model_cfg/vision_cfg/head_width", 81, "vision_cfg.head_width"},
           {"/model_cfg/vision_cfg/pool_type", "avg", "vision_cfg.pool_type"},
           {"/model_cfg/vision_cfg/timm_model_name", "convnext",
            "vision_cfg.timm_model_name"},
           {"/model_cfg/text_cfg/hf_model_name", "roberta-base",
            "text_cfg.hf_model_name"},
           {"/model_cfg/text_cfg/no_causal_mask", true,
            "text_cfg.no_causal_mask"},
           {"/model_cfg/quick_gelu", "yes", "quick_gelu"},
           {"/preprocess_cfg/resize_mode", "squash",
            "preprocess_cfg.resize_mode"},
           {"/preprocess_cfg/mean", {1, 2}, "preprocess_cfg.mean"},
           {"/preprocess_cfg/std", {1, 0, 1}, "preprocess_cfg.std"}}) {
    ExpectRefused(open_clip, change, true);
  }
  ExpectRefused(open_clip,
                {"/model_cfg/vision_cfg/layers", {3, 4, 6, 3}, "ResNet"}, true,
                "UNSUPPORTED_TOWER");
  const std::string preprocessor = HuggingFacePreprocessorFile(Full());
  for (const Change& change :
       std::vector<Change>{{"/do_normalize", false, "do_normalize is false"},
                           {"/resample", 2, "resample is 2"},
                           {"/size", {{"height", 224}, {"width", 224}}, "size"},
                           {"/crop_size", 336, "crop_size is 336"},
                           {"/image_std", "wide", "image_std"}}) {
    ExpectRefused(preprocessor, change, false);
  }
}

TEST(ClipFilesTest, OtherJsonIsRefused) {
  for (const std::string text : {"", "[]", "{", "{}", "{\"a\": 1}"}) {
    ClipConfig config = SizesOf(Full());
    EXPECT_EQ(ErrorReason(ReadClipConfigFile(text, config)), "INVALID_CLIP");
  }
}

}  // namespace
}  // namespace attune
