#include "common/safetensors/clip_layout.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/safetensors/clip_error.h"
#include "common/safetensors/clip_names.h"
#include "common/safetensors/clip_sizes.h"
#include "common/status_macros.h"

namespace attune {
namespace {

using safetensors::Metadata;

constexpr absl::string_view kArchitecture = "attune.architecture";
constexpr absl::string_view kImageSize = "attune.image_size";
constexpr absl::string_view kContextLength = "attune.context_length";
constexpr absl::string_view kVisionHeads = "attune.vision_heads";
constexpr absl::string_view kTextHeads = "attune.text_heads";
constexpr absl::string_view kActivation = "attune.activation";
constexpr absl::string_view kPixelMean = "attune.pixel_mean";
constexpr absl::string_view kPixelDeviation = "attune.pixel_deviation";

constexpr absl::string_view kVisionBlocks = "visual.transformer.resblocks.";
constexpr absl::string_view kTextBlocks = "transformer.resblocks.";

// Heads where the metadata says nothing: OpenAI's rule, and the published
// ViT-H, whose heads are wider.
constexpr int kWidthPerHead = 64;
constexpr int kHugeVisionWidth = 1280;
constexpr int kHugeVisionHeads = 16;

// A size that the metadata may repeat must be the tensors'.
absl::Status CheckSize(const Metadata& metadata, absl::string_view key,
                       int size) {
  const auto found = metadata.find(std::string(key));
  if (found == metadata.end() || found->second == absl::StrCat(size)) {
    return absl::OkStatus();
  }
  return InvalidClip(absl::StrCat("the metadata ", key, " is ",
                                  QuotedName(found->second),
                                  "; the tensors have ", size));
}

absl::StatusOr<int> ReadHeads(const Metadata& metadata, absl::string_view key,
                              int width) {
  const auto found = metadata.find(std::string(key));
  int heads = 0;
  if (found == metadata.end()) {
    heads = key == kVisionHeads && width == kHugeVisionWidth
                ? kHugeVisionHeads
                : width / kWidthPerHead;
  } else if (!absl::SimpleAtoi(found->second, &heads)) {
    heads = 0;
  }
  if (heads <= 0 || width % heads != 0) {
    return InvalidClip(absl::StrCat("the width ", width,
                                    " needs a number of heads that divides it "
                                    "in the metadata ",
                                    key));
  }
  return heads;
}

absl::Status ReadChannels(const Metadata& metadata, absl::string_view key,
                          float least, std::array<float, 3>& values) {
  const auto found = metadata.find(std::string(key));
  if (found == metadata.end()) return absl::OkStatus();
  const std::vector<absl::string_view> parts =
      absl::StrSplit(found->second, ',');
  bool valid = parts.size() == values.size();
  for (size_t c = 0; valid && c < values.size(); ++c) {
    valid = absl::SimpleAtof(parts[c], &values[c]) &&
            std::isfinite(values[c]) && values[c] >= least;
  }
  if (!valid) {
    return InvalidClip(absl::StrCat("the metadata ", key, " is ",
                                    QuotedName(found->second),
                                    "; three numbers with commas are needed"));
  }
  return absl::OkStatus();
}

absl::Status ReadActivation(const Metadata& metadata, Activation& activation) {
  const auto found = metadata.find(std::string(kActivation));
  if (found == metadata.end() || found->second == "quick_gelu") {
    activation = Activation::kQuickGelu;
  } else if (found->second == "gelu") {
    activation = Activation::kGelu;
  } else {
    return InvalidClip(absl::StrCat("the metadata ", kActivation, " is ",
                                    QuotedName(found->second),
                                    "; quick_gelu or gelu is needed"));
  }
  return absl::OkStatus();
}

void AddBlocks(absl::string_view prefix, int layers, int64_t width,
               TensorShapes& shapes) {
  for (int layer = 0; layer < layers; ++layer) {
    const std::string block = absl::StrCat(prefix, layer, ".");
    shapes[block + "attn.in_proj_weight"] = {3 * width, width};
    shapes[block + "attn.in_proj_bias"] = {3 * width};
    shapes[block + "attn.out_proj.weight"] = {width, width};
    shapes[block + "attn.out_proj.bias"] = {width};
    shapes[block + "ln_1.weight"] = {width};
    shapes[block + "ln_1.bias"] = {width};
    shapes[block + "ln_2.weight"] = {width};
    shapes[block + "ln_2.bias"] = {width};
    shapes[block + "mlp.c_fc.weight"] = {4 * width, width};
    shapes[block + "mlp.c_fc.bias"] = {4 * width};
    shapes[block + "mlp.c_proj.weight"] = {width, 4 * width};
    shapes[block + "mlp.c_proj.bias"] = {width};
  }
}

}  // namespace

TensorShapes ShapesOf(const safetensors::Header& header) {
  TensorShapes shapes;
  for (const safetensors::TensorInfo& tensor : header.tensors) {
    shapes[tensor.name] = tensor.shape;
  }
  return shapes;
}

TensorShapes ExpectedTensors(const ClipConfig& config) {
  const int64_t grid = config.image_size / config.patch_size;
  const int64_t width = config.vision_width;
  const int64_t text_width = config.text_width;
  const int64_t embedding = config.embedding_size;
  TensorShapes shapes = {
      {"visual.conv1.weight", {width, 3, config.patch_size, config.patch_size}},
      {"visual.class_embedding", {width}},
      {"visual.positional_embedding", {grid * grid + 1, width}},
      {"visual.ln_pre.weight", {width}},
      {"visual.ln_pre.bias", {width}},
      {"visual.ln_post.weight", {width}},
      {"visual.ln_post.bias", {width}},
      {"visual.proj", {width, embedding}},
      {"token_embedding.weight", {config.vocabulary_size, text_width}},
      {"positional_embedding", {config.context_length, text_width}},
      {"ln_final.weight", {text_width}},
      {"ln_final.bias", {text_width}},
      {"text_projection", {text_width, embedding}},
      {"logit_scale", {}},
  };
  AddBlocks(kVisionBlocks, config.vision_layers, width, shapes);
  AddBlocks(kTextBlocks, config.text_layers, text_width, shapes);
  return shapes;
}

TensorShapes WithHeadLike(TensorShapes expected, const ClipConfig& config,
                          const TensorShapes& names) {
  if (names.contains(kHeadDirections) || names.contains(kHeadSingularValues)) {
    expected[kHeadDirections] = {config.embedding_size, config.embedding_size};
    expected[kHeadSingularValues] = {config.embedding_size};
  }
  return expected;
}

absl::StatusOr<ClipConfig> ReadClipConfig(const TensorShapes& shapes,
                                          const Metadata& metadata) {
  ATTUNE_ASSIGN_OR_RETURN(const ClipLayout layout, DetectLayout(shapes));
  if (layout != ClipLayout::kOpenAi) {
    return InvalidClip(absl::StrCat("the tensors have the names of ",
                                    LayoutName(layout),
                                    "; attune-convert gives them OpenAI's"));
  }
  ATTUNE_ASSIGN_OR_RETURN(ClipConfig config, ReadClipSizes(shapes, layout));
  ATTUNE_RETURN_IF_ERROR(CheckSize(metadata, kImageSize, config.image_size));
  ATTUNE_RETURN_IF_ERROR(
      CheckSize(metadata, kContextLength, config.context_length));
  ATTUNE_ASSIGN_OR_RETURN(config.vision_heads, ReadHeads(metadata, kVisionHeads,
                                                         config.vision_width));
  ATTUNE_ASSIGN_OR_RETURN(config.text_heads,
                          ReadHeads(metadata, kTextHeads, config.text_width));
  ATTUNE_RETURN_IF_ERROR(ReadActivation(metadata, config.activation));
  ATTUNE_RETURN_IF_ERROR(ReadChannels(metadata, kPixelMean,
                                      std::numeric_limits<float>::lowest(),
                                      config.pixel_mean));
  ATTUNE_RETURN_IF_ERROR(ReadChannels(metadata, kPixelDeviation,
                                      std::numeric_limits<float>::min(),
                                      config.pixel_deviation));
  return config;
}

absl::StatusOr<ClipConfig> ReadClipConfig(const safetensors::Header& header) {
  for (const safetensors::TensorInfo& tensor : header.tensors) {
    if (tensor.data_type == safetensors::DataType::kInt64 ||
        tensor.data_type == safetensors::DataType::kUint8) {
      return InvalidClip(
          absl::StrCat("tensor ", QuotedName(tensor.name), " has the type ",
                       safetensors::DataTypeName(tensor.data_type),
                       "; a model's tensors are F32, F16 or BF16"));
    }
  }
  return ReadClipConfig(ShapesOf(header), header.metadata);
}

std::string ArchitectureName(const ClipConfig& config) {
  struct Known {
    int width, layers;
    absl::string_view name;
  };
  absl::string_view size;
  for (const Known& known :
       {Known{768, 12, "-B"}, Known{1024, 24, "-L"}, Known{1280, 32, "-H"}}) {
    if (config.vision_width == known.width &&
        config.vision_layers == known.layers) {
      size = known.name;
    }
  }
  return absl::StrCat(
      "ViT", size, "-", config.patch_size,
      config.image_size == 224 ? "" : absl::StrCat("-", config.image_size));
}

Metadata ClipMetadata(const ClipConfig& config) {
  const auto channels = [](const std::array<float, 3>& values) {
    // Nine digits give every float back exactly.
    return absl::StrFormat("%.9g,%.9g,%.9g", values[0], values[1], values[2]);
  };
  return {
      {"format", "pt"},
      {std::string(kArchitecture), ArchitectureName(config)},
      {std::string(kImageSize), absl::StrCat(config.image_size)},
      {std::string(kContextLength), absl::StrCat(config.context_length)},
      {std::string(kVisionHeads), absl::StrCat(config.vision_heads)},
      {std::string(kTextHeads), absl::StrCat(config.text_heads)},
      {std::string(kActivation),
       config.activation == Activation::kGelu ? "gelu" : "quick_gelu"},
      {std::string(kPixelMean), channels(config.pixel_mean)},
      {std::string(kPixelDeviation), channels(config.pixel_deviation)},
  };
}

}  // namespace attune
