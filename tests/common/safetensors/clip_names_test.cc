#include "common/safetensors/clip_names.h"

#include <gmock/gmock.h>

#include <map>

#include "common/error.h"
#include "common/safetensors/clip_sizes.h"

namespace attune {
namespace {

ClipConfig Sizes() {
  return {.image_size = 32,
          .patch_size = 8,
          .vision_width = 16,
          .vision_layers = 2,
          .text_width = 12,
          .text_layers = 1,
          .context_length = 5,
          .vocabulary_size = 7,
          .embedding_size = 6};
}

TensorShapes ShapesOf(const std::vector<LayoutTensor>& tensors) {
  TensorShapes shapes;
  for (const LayoutTensor& tensor : tensors) {
    shapes[tensor.name] = tensor.shape;
  }
  return shapes;
}

TEST(ClipNamesTest, OpenAisNamesAreTheCanonicalOnes) {
  EXPECT_EQ(ShapesOf(LayoutTensors(Sizes(), ClipLayout::kOpenAi)),
            ExpectedTensors(Sizes()));
}

// Written down from transformers' CLIPModel with one block in either tower.
TEST(ClipNamesTest, HuggingFacesNames) {
  ClipConfig config = Sizes();
  config.vision_layers = 1;
  TensorShapes expected = {
      {"logit_scale", {}},
      {"text_model.embeddings.token_embedding.weight", {7, 12}},
      {"text_model.embeddings.position_embedding.weight", {5, 12}},
      {"text_model.final_layer_norm.weight", {12}},
      {"text_model.final_layer_norm.bias", {12}},
      {"text_projection.weight", {6, 12}},
      {"vision_model.embeddings.class_embedding", {16}},
      {"vision_model.embeddings.patch_embedding.weight", {16, 3, 8, 8}},
      {"vision_model.embeddings.position_embedding.weight", {17, 16}},
      {"vision_model.pre_layrnorm.weight", {16}},
      {"vision_model.pre_layrnorm.bias", {16}},
      {"vision_model.post_layernorm.weight", {16}},
      {"vision_model.post_layernorm.bias", {16}},
      {"visual_projection.weight", {6, 16}},
  };
  for (const auto& [block, width] :
       std::map<std::string, int64_t>{{"text_model.encoder.layers.0.", 12},
                                      {"vision_model.encoder.layers.0.", 16}}) {
    for (const std::string part : {"q", "k", "v", "out"}) {
      expected[block + "self_attn." + part + "_proj.weight"] = {width, width};
      expected[block + "self_attn." + part + "_proj.bias"] = {width};
    }
    for (const std::string norm : {"layer_norm1", "layer_norm2"}) {
      expected[block + norm + ".weight"] = {width};
      expected[block + norm + ".bias"] = {width};
    }
    expected[block + "mlp.fc1.weight"] = {4 * width, width};
    expected[block + "mlp.fc1.bias"] = {4 * width};
    expected[block + "mlp.fc2.weight"] = {width, 4 * width};
    expected[block + "mlp.fc2.bias"] = {width};
  }
  EXPECT_EQ(ShapesOf(LayoutTensors(config, ClipLayout::kHuggingFace)),
            expected);
}

TEST(ClipNamesTest, QueryKeyAndValueAreRowsInThisOrder) {
  std::vector<std::pair<std::string, int64_t>> parts;
  for (const LayoutTensor& tensor :
       LayoutTensors(Sizes(), ClipLayout::kHuggingFace)) {
    if (tensor.source == "visual.transformer.resblocks.1.attn.in_proj_weight") {
      parts.emplace_back(tensor.name, tensor.first_row);
    }
  }
  const std::string block = "vision_model.encoder.layers.1.self_attn.";
  EXPECT_THAT(parts,
              testing::ElementsAre(testing::Pair(block + "q_proj.weight", 0),
                                   testing::Pair(block + "k_proj.weight", 16),
                                   testing::Pair(block + "v_proj.weight", 32)));
}

TEST(ClipNamesTest, CustomTextHasThePrefixOnTheTextTowerAlone) {
  const TensorShapes shapes =
      ShapesOf(LayoutTensors(Sizes(), ClipLayout::kCustomText));
  EXPECT_TRUE(shapes.contains("text.transformer.resblocks.0.ln_1.weight"));
  EXPECT_TRUE(shapes.contains("text.text_projection"));
  EXPECT_TRUE(shapes.contains("text.token_embedding.weight"));
  EXPECT_TRUE(shapes.contains("visual.proj"));
  EXPECT_TRUE(shapes.contains("logit_scale"));
  EXPECT_EQ(shapes.size(), ExpectedTensors(Sizes()).size());
}

TEST(ClipNamesTest, LayoutsAndSizesAreReadOffTheTensors) {
  for (ClipLayout layout : {ClipLayout::kOpenAi, ClipLayout::kCustomText,
                            ClipLayout::kHuggingFace}) {
    const TensorShapes shapes = ShapesOf(LayoutTensors(Sizes(), layout));
    const absl::StatusOr<ClipLayout> detected = DetectLayout(shapes);
    ASSERT_TRUE(detected.ok()) << detected.status();
    EXPECT_EQ(*detected, layout);
    const absl::StatusOr<ClipConfig> sizes = ReadClipSizes(shapes, layout);
    ASSERT_TRUE(sizes.ok()) << sizes.status();
    EXPECT_EQ(*sizes, Sizes());
  }
}

TEST(ClipNamesTest, AnyMissingTensorIsNamed) {
  for (ClipLayout layout :
       {ClipLayout::kCustomText, ClipLayout::kHuggingFace}) {
    const TensorShapes all = ShapesOf(LayoutTensors(Sizes(), layout));
    for (const auto& [name, shape] : all) {
      TensorShapes shapes = all;
      shapes.erase(name);
      const absl::Status status = ReadClipSizes(shapes, layout).status();
      EXPECT_EQ(ErrorReason(status), "INVALID_CLIP");
      EXPECT_THAT(status.message(),
                  testing::HasSubstr("'" + name + "' is missing"));
    }
  }
}

}  // namespace
}  // namespace attune
