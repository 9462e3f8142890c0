#include "common/safetensors/clip_sizes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/safetensors/clip_error.h"
#include "common/status_macros.h"

namespace attune {
namespace {

using safetensors::Shape;

// No CLIP is near it, and products of a few such sizes fit 64 bits.
constexpr int64_t kLargestSize = 1 << 20;

// The tensors whose shapes say the sizes.
struct SizeNames {
  absl::string_view patches, positions, tokens, context, projection;
  // Dimension of the projection that is the embedding.
  int embedding_dimension;
  absl::string_view vision_blocks, text_blocks;
};

SizeNames NamesOf(ClipLayout layout) {
  switch (layout) {
    case ClipLayout::kOpenAi:
      break;
    case ClipLayout::kCustomText:
      return {"visual.conv1.weight",           "visual.positional_embedding",
              "text.token_embedding.weight",   "text.positional_embedding",
              "text.text_projection",          1,
              "visual.transformer.resblocks.", "text.transformer.resblocks."};
    case ClipLayout::kHuggingFace:
      return {"vision_model.embeddings.patch_embedding.weight",
              "vision_model.embeddings.position_embedding.weight",
              "text_model.embeddings.token_embedding.weight",
              "text_model.embeddings.position_embedding.weight",
              "text_projection.weight",
              0,
              "vision_model.encoder.layers.",
              "text_model.encoder.layers."};
  }
  return {"visual.conv1.weight",
          "visual.positional_embedding",
          "token_embedding.weight",
          "positional_embedding",
          "text_projection",
          1,
          "visual.transformer.resblocks.",
          "transformer.resblocks."};
}

std::string ShapeName(const Shape& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// The shape of a tensor that must have `rank` dimensions.
absl::StatusOr<Shape> RequireShape(const TensorShapes& shapes,
                                   absl::string_view name, size_t rank) {
  const auto found = shapes.find(std::string(name));
  if (found == shapes.end()) {
    return InvalidClip(absl::StrCat("tensor '", name, "' is missing"));
  }
  bool valid = found->second.size() == rank;
  for (int64_t size : found->second) {
    valid = valid && size > 0 && size <= kLargestSize;
  }
  if (!valid) {
    return InvalidClip(absl::StrCat("tensor '", name, "' has the shape ",
                                    ShapeName(found->second), "; ", rank,
                                    " sizes are needed"));
  }
  return found->second;
}

// How many blocks the tensors under `prefix` make: one more than the largest
// number in a name, so that a missing block is found as missing tensors.
absl::StatusOr<int> CountBlocks(const TensorShapes& shapes,
                                absl::string_view prefix) {
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
  if (blocks == 0) {
    return InvalidClip(absl::StrCat("there is no tensor '", prefix, "0.…'"));
  }
  return blocks;
}

absl::Status CheckTensors(const TensorShapes& shapes,
                          const std::vector<LayoutTensor>& expected) {
  std::map<absl::string_view, const LayoutTensor*> by_name;
  for (const LayoutTensor& tensor : expected) {
    by_name[tensor.name] = &tensor;
    const auto found = shapes.find(tensor.name);
    if (found == shapes.end()) {
      return InvalidClip(absl::StrCat("tensor '", tensor.name, "' is missing"));
    }
    if (found->second != tensor.shape) {
      return InvalidClip(absl::StrCat(
          "tensor '", tensor.name, "' has the shape ", ShapeName(found->second),
          "; ", ShapeName(tensor.shape), " is needed"));
    }
  }
  for (const auto& [name, shape] : shapes) {
    if (by_name.find(name) == by_name.end()) {
      return InvalidClip(absl::StrCat("tensor ", QuotedName(name),
                                      " does not belong to this model"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClipConfig> ReadClipSizes(const TensorShapes& shapes,
                                         ClipLayout layout) {
  const SizeNames names = NamesOf(layout);
  ATTUNE_ASSIGN_OR_RETURN(const Shape patches,
                          RequireShape(shapes, names.patches, 4));
  ATTUNE_ASSIGN_OR_RETURN(const Shape positions,
                          RequireShape(shapes, names.positions, 2));
  ATTUNE_ASSIGN_OR_RETURN(const Shape tokens,
                          RequireShape(shapes, names.tokens, 2));
  ATTUNE_ASSIGN_OR_RETURN(const Shape context,
                          RequireShape(shapes, names.context, 2));
  ATTUNE_ASSIGN_OR_RETURN(const Shape projection,
                          RequireShape(shapes, names.projection, 2));
  const int64_t grid = std::llround(std::sqrt(positions[0] - 1));
  if (grid == 0 || grid * grid + 1 != positions[0]) {
    return InvalidClip(absl::StrCat(
        "tensor '", names.positions, "' has the shape ", ShapeName(positions),
        "; 1 row and a square number of rows are needed"));
  }
  if (grid * patches[2] > std::numeric_limits<int>::max()) {
    return InvalidClip("the image size overflows");
  }

  ClipConfig config;
  config.patch_size = static_cast<int>(patches[2]);
  config.image_size = static_cast<int>(grid * patches[2]);
  config.vision_width = static_cast<int>(patches[0]);
  config.text_width = static_cast<int>(tokens[1]);
  config.context_length = static_cast<int>(context[0]);
  config.vocabulary_size = static_cast<int>(tokens[0]);
  config.embedding_size =
      static_cast<int>(projection[names.embedding_dimension]);
  ATTUNE_ASSIGN_OR_RETURN(config.vision_layers,
                          CountBlocks(shapes, names.vision_blocks));
  ATTUNE_ASSIGN_OR_RETURN(config.text_layers,
                          CountBlocks(shapes, names.text_blocks));
  std::vector<LayoutTensor> expected = LayoutTensors(config, layout);
  for (const auto& [name, shape] : WithHeadLike({}, config, shapes)) {
    expected.push_back({.name = name, .shape = shape, .source = name});
  }
  ATTUNE_RETURN_IF_ERROR(CheckTensors(shapes, expected));
  return config;
}

}  // namespace attune
