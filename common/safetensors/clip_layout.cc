#include "common/safetensors/clip_layout.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune {
namespace {

using safetensors::Metadata;
using safetensors::Shape;

constexpr absl::string_view kVisionHeads = "attune.vision_heads";
constexpr absl::string_view kTextHeads = "attune.text_heads";
constexpr absl::string_view kActivation = "attune.activation";
constexpr absl::string_view kPixelMean = "attune.pixel_mean";
constexpr absl::string_view kPixelDeviation = "attune.pixel_deviation";

constexpr absl::string_view kVisionBlocks = "visual.transformer.resblocks.";
constexpr absl::string_view kTextBlocks = "transformer.resblocks.";

// OpenAI's rule where the metadata says nothing.
constexpr int kWidthPerHead = 64;
// No CLIP is near it, and products of a few such sizes fit 64 bits.
constexpr int64_t kLargestSize = 1 << 20;

absl::Status Invalid(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_CLIP", message);
}

std::string ShapeName(const Shape& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::string Quoted(absl::string_view text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, 100)), "'");
}

// The shape of a tensor that must have `rank` dimensions.
absl::StatusOr<Shape> RequireShape(const TensorShapes& shapes,
                                   const std::string& name, size_t rank) {
  const auto found = shapes.find(name);
  if (found == shapes.end()) {
    return Invalid(absl::StrCat("tensor '", name, "' is missing"));
  }
  bool valid = found->second.size() == rank;
  for (int64_t size : found->second) {
    valid = valid && size > 0 && size <= kLargestSize;
  }
  if (!valid) {
    return Invalid(absl::StrCat("tensor '", name, "' has the shape ",
                                ShapeName(found->second), "; ", rank,
                                " sizes are needed"));
  }
  return found->second;
}

// How many blocks the tensors under `prefix` make: one more than the largest
// number in a name, so that a missing block is found as missing tensors.
int CountBlocks(const TensorShapes& shapes, absl::string_view prefix) {
  int blocks = 0;
  for (auto it = shapes.lower_bound(std::string(prefix));
       it != shapes.end() && absl::StartsWith(it->first, prefix); ++it) {
    const std::vector<absl::string_view> parts =
        absl::StrSplit(absl::string_view(it->first).substr(prefix.size()), '.');
    int number = 0;
    // Any tensor set is smaller than a thousand blocks.
    if (absl::SimpleAtoi(parts[0], &number) && number >= 0 && number < 1000) {
      blocks = std::max(blocks, number + 1);
    }
  }
  return blocks;
}

absl::StatusOr<int> ReadHeads(const Metadata& metadata, absl::string_view key,
                              int width) {
  const auto found = metadata.find(std::string(key));
  int heads = 0;
  if (found == metadata.end()) {
    heads = width / kWidthPerHead;
  } else if (!absl::SimpleAtoi(found->second, &heads)) {
    heads = 0;
  }
  if (heads <= 0 || width % heads != 0) {
    return Invalid(absl::StrCat("the width ", width,
                                " needs a number of heads that divides it in "
                                "the metadata ",
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
    return Invalid(absl::StrCat("the metadata ", key, " is ",
                                Quoted(found->second),
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
    return Invalid(absl::StrCat("the metadata ", kActivation, " is ",
                                Quoted(found->second),
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

absl::Status CheckTensors(const TensorShapes& shapes,
                          const TensorShapes& expected) {
  for (const auto& [name, shape] : expected) {
    const auto found = shapes.find(name);
    if (found == shapes.end()) {
      return Invalid(absl::StrCat("tensor '", name, "' is missing"));
    }
    if (found->second != shape) {
      return Invalid(absl::StrCat("tensor '", name, "' has the shape ",
                                  ShapeName(found->second), "; ",
                                  ShapeName(shape), " is needed"));
    }
  }
  for (const auto& [name, shape] : shapes) {
    if (!expected.contains(name)) {
      return Invalid(absl::StrCat("tensor ", Quoted(name),
                                  " does not belong to this model"));
    }
  }
  return absl::OkStatus();
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

absl::StatusOr<ClipConfig> ReadClipConfig(const TensorShapes& shapes,
                                          const Metadata& metadata) {
  if (shapes.contains("visual.layer1.0.conv1.weight") ||
      shapes.contains("visual.attnpool.positional_embedding")) {
    return Error(absl::StatusCode::kInvalidArgument, "UNSUPPORTED_TOWER",
                 "the image tower is a ResNet; Vision Transformers (ViT) are "
                 "supported");
  }
  ATTUNE_ASSIGN_OR_RETURN(const Shape patches,
                          RequireShape(shapes, "visual.conv1.weight", 4));
  ATTUNE_ASSIGN_OR_RETURN(
      const Shape positions,
      RequireShape(shapes, "visual.positional_embedding", 2));
  ATTUNE_ASSIGN_OR_RETURN(const Shape tokens,
                          RequireShape(shapes, "token_embedding.weight", 2));
  ATTUNE_ASSIGN_OR_RETURN(const Shape context,
                          RequireShape(shapes, "positional_embedding", 2));
  ATTUNE_ASSIGN_OR_RETURN(const Shape projection,
                          RequireShape(shapes, "text_projection", 2));
  const int64_t grid = std::llround(std::sqrt(positions[0] - 1));
  if (grid == 0 || grid * grid + 1 != positions[0]) {
    return Invalid(
        absl::StrCat("tensor 'visual.positional_embedding' has the shape ",
                     ShapeName(positions),
                     "; 1 row and a square number of rows are needed"));
  }
  if (grid * patches[2] > std::numeric_limits<int>::max()) {
    return Invalid("the image size overflows");
  }

  ClipConfig config;
  config.patch_size = static_cast<int>(patches[2]);
  config.image_size = static_cast<int>(grid * patches[2]);
  config.vision_width = static_cast<int>(patches[0]);
  config.vision_layers = CountBlocks(shapes, kVisionBlocks);
  config.text_width = static_cast<int>(tokens[1]);
  config.text_layers = CountBlocks(shapes, kTextBlocks);
  config.context_length = static_cast<int>(context[0]);
  config.vocabulary_size = static_cast<int>(tokens[0]);
  config.embedding_size = static_cast<int>(projection[1]);
  if (config.vision_layers == 0 || config.text_layers == 0) {
    return Invalid(absl::StrCat(
        "there is no tensor '",
        config.vision_layers == 0 ? kVisionBlocks : kTextBlocks, "0.…'"));
  }
  ATTUNE_RETURN_IF_ERROR(CheckTensors(shapes, ExpectedTensors(config)));

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
      return Invalid(absl::StrCat("tensor ", Quoted(tensor.name),
                                  " has the type ",
                                  safetensors::DataTypeName(tensor.data_type),
                                  "; a model's tensors are F32, F16 or BF16"));
    }
  }
  return ReadClipConfig(ShapesOf(header), header.metadata);
}

Metadata ClipMetadata(const ClipConfig& config) {
  const auto channels = [](const std::array<float, 3>& values) {
    // Nine digits give every float back exactly.
    return absl::StrFormat("%.9g,%.9g,%.9g", values[0], values[1], values[2]);
  };
  return {
      {"format", "pt"},
      {std::string(kVisionHeads), absl::StrCat(config.vision_heads)},
      {std::string(kTextHeads), absl::StrCat(config.text_heads)},
      {std::string(kActivation),
       config.activation == Activation::kGelu ? "gelu" : "quick_gelu"},
      {std::string(kPixelMean), channels(config.pixel_mean)},
      {std::string(kPixelDeviation), channels(config.pixel_deviation)},
  };
}

}  // namespace attune
