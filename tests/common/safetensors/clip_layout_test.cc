#include "common/safetensors/clip_layout.h"

#include <gmock/gmock.h>

#include <fstream>

#include "common/error.h"
#include "nlohmann/json.hpp"
#include "tests/test_util/shared_data.h"

namespace attune {
namespace {

using safetensors::Metadata;
using testing::HasSubstr;

ClipConfig Tiny() {
  return {.image_size = 48,
          .patch_size = 12,
          .vision_width = 128,
          .vision_layers = 3,
          .vision_heads = 4,
          .text_width = 64,
          .text_layers = 2,
          .text_heads = 8,
          .context_length = 16,
          .vocabulary_size = 49408,
          .embedding_size = 32,
          .activation = Activation::kGelu,
          .pixel_mean = {0.1f, 0.2f, 1 / 3.f},
          .pixel_deviation = {0.4f, 0.5f, 0.6f}};
}

void ExpectRefused(const TensorShapes& shapes, const Metadata& metadata,
                   const std::string& message) {
  const absl::Status status = ReadClipConfig(shapes, metadata).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_CLIP");
  EXPECT_THAT(status.message(), HasSubstr(message));
}

TEST(ClipLayoutTest, ReadsTheConfigThatWasWritten) {
  const absl::StatusOr<ClipConfig> config =
      ReadClipConfig(ExpectedTensors(Tiny()), ClipMetadata(Tiny()));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(*config, Tiny());
}

TEST(ClipLayoutTest, WithoutMetadataItIsOpenAis) {
  const absl::StatusOr<ClipConfig> config =
      ReadClipConfig(ExpectedTensors(Tiny()), {});
  ASSERT_TRUE(config.ok()) << config.status();
  ClipConfig expected = Tiny();
  expected.vision_heads = 2;
  expected.text_heads = 1;
  expected.activation = Activation::kQuickGelu;
  expected.pixel_mean = ClipConfig().pixel_mean;
  expected.pixel_deviation = ClipConfig().pixel_deviation;
  EXPECT_EQ(*config, expected);
}

TEST(ClipLayoutTest, ReadsOpenAisViTB32) {
  ATTUNE_SKIP_WITHOUT_SHARED_DATA();
  std::ifstream file(test::SharedDataDir() + "/golden/vit-b-32/ViT-B-32.json");
  const nlohmann::json entries = nlohmann::json::parse(file);
  TensorShapes shapes;
  for (const auto& [name, entry] : entries.items()) {
    // The archive also holds plain numbers and three integers.
    if (!entry.contains("dtype") || entry["dtype"] == "int64") continue;
    shapes[name] = entry["shape"].get<safetensors::Shape>();
  }
  const absl::StatusOr<ClipConfig> config = ReadClipConfig(shapes, {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(*config, (ClipConfig{.image_size = 224,
                                 .patch_size = 32,
                                 .vision_width = 768,
                                 .vision_layers = 12,
                                 .vision_heads = 12,
                                 .text_width = 512,
                                 .text_layers = 12,
                                 .text_heads = 8,
                                 .context_length = 77,
                                 .vocabulary_size = 49408,
                                 .embedding_size = 512}));
}

TEST(ClipLayoutTest, EachMissingTensorIsNamed) {
  const TensorShapes all = ExpectedTensors(Tiny());
  for (const auto& [name, shape] : all) {
    TensorShapes shapes = all;
    shapes.erase(name);
    ExpectRefused(shapes, ClipMetadata(Tiny()), "'" + name + "' is missing");
  }
}

TEST(ClipLayoutTest, EachTensorOfAnotherRankIsNamed) {
  const TensorShapes all = ExpectedTensors(Tiny());
  for (const auto& [name, shape] : all) {
    TensorShapes shapes = all;
    shapes[name].push_back(1);
    ExpectRefused(shapes, ClipMetadata(Tiny()), "'" + name + "' has the shape");
  }
}

TEST(ClipLayoutTest, ExtraTensorIsNamed) {
  TensorShapes shapes = ExpectedTensors(Tiny());
  shapes["surprise"] = {1};
  ExpectRefused(shapes, {}, "'surprise' does not belong");
}

TEST(ClipLayoutTest, MissingBlockIsNamed) {
  TensorShapes shapes = ExpectedTensors(Tiny());
  std::erase_if(shapes, [](const auto& entry) {
    return entry.first.starts_with("visual.transformer.resblocks.1.");
  });
  ExpectRefused(shapes, {}, "'visual.transformer.resblocks.1.");
  std::erase_if(shapes, [](const auto& entry) {
    return entry.first.starts_with("transformer.resblocks.");
  });
  ExpectRefused(shapes, {}, "'transformer.resblocks.0.");
}

TEST(ClipLayoutTest, PositionsThatAreNoSquareAreRefused) {
  TensorShapes shapes = ExpectedTensors(Tiny());
  for (int64_t rows : {0, 1, 6, 18}) {
    shapes["visual.positional_embedding"] = {rows, 128};
    ExpectRefused(shapes, {}, "'visual.positional_embedding'");
  }
}

TEST(ClipLayoutTest, HugeSizesAreRefused) {
  TensorShapes shapes = ExpectedTensors(Tiny());
  shapes["visual.conv1.weight"] = {128, 3, int64_t{1} << 40, int64_t{1} << 40};
  ExpectRefused(shapes, {}, "'visual.conv1.weight'");
}

TEST(ClipLayoutTest, ResNetIsAnUnsupportedTower) {
  const absl::Status status =
      ReadClipConfig({{"visual.layer1.0.conv1.weight", {64, 64, 1, 1}}}, {})
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "UNSUPPORTED_TOWER");
}

TEST(ClipLayoutTest, MetadataThatMakesNoSenseIsNamed) {
  const std::pair<std::string, std::string> kWrong[] = {
      {"attune.vision_heads", "3"},       {"attune.vision_heads", "0"},
      {"attune.vision_heads", "-4"},      {"attune.text_heads", "many"},
      {"attune.activation", "relu"},      {"attune.pixel_mean", "1,2"},
      {"attune.pixel_mean", "1,2,nan"},   {"attune.pixel_deviation", "1,2,0"},
      {"attune.pixel_deviation", "1,2,x"}};
  for (const auto& [key, value] : kWrong) {
    ExpectRefused(ExpectedTensors(Tiny()), {{key, value}}, key);
  }
}

TEST(ClipLayoutTest, WidthWithoutAHeadNeedsMetadata) {
  ClipConfig config = Tiny();
  config.text_width = 32;
  ExpectRefused(ExpectedTensors(config), {}, "attune.text_heads");
}

TEST(ClipLayoutTest, IntegerTensorsAreRefused) {
  safetensors::Header header;
  header.tensors = {{.name = "visual.proj",
                     .data_type = safetensors::DataType::kInt64,
                     .shape = {1}}};
  const absl::Status status = ReadClipConfig(header).status();
  EXPECT_EQ(ErrorReason(status), "INVALID_CLIP");
  EXPECT_THAT(status.message(), HasSubstr("'visual.proj' has the type I64"));
}

TEST(ClipLayoutTest, ALinearHeadMayBeThereWhole) {
  const ClipConfig config = Tiny();
  const TensorShapes plain = ExpectedTensors(config);
  TensorShapes with_head = WithHeadLike(plain, config, {{kHeadDirections, {}}});
  EXPECT_EQ(with_head.size(), plain.size() + 2);
  EXPECT_TRUE(ReadClipConfig(with_head, ClipMetadata(config)).ok());
  EXPECT_EQ(WithHeadLike(plain, config, plain), plain);
  with_head.erase(kHeadSingularValues);
  EXPECT_EQ(
      ErrorReason(ReadClipConfig(with_head, ClipMetadata(config)).status()),
      "INVALID_CLIP");
  with_head[kHeadSingularValues] = {3};
  EXPECT_EQ(
      ErrorReason(ReadClipConfig(with_head, ClipMetadata(config)).status()),
      "INVALID_CLIP");
}

}  // namespace
}  // namespace attune
