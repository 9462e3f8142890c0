// Which tensors a CLIP has: OpenAI's checkpoint keys and their shapes, and
// how its configuration is read off them.

#ifndef ATTUNE_COMMON_SAFETENSORS_CLIP_LAYOUT_H_
#define ATTUNE_COMMON_SAFETENSORS_CLIP_LAYOUT_H_

#include <array>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/safetensors/safetensors.h"

namespace attune {

// The activation of a CLIP's MLPs. The numbers are those of
// attune.v1.Activation and are stored.
enum class Activation {
  // x·σ(1.702x), OpenAI's.
  kQuickGelu = 1,
  // The exact GELU, with the error function.
  kGelu = 2,
};

// The shape of a CLIP; the same as attune.v1.ClipConfig. Sizes are positive.
struct ClipConfig {
  // Side of the square input picture, in pixels.
  int image_size = 0;
  // Side of a patch, in pixels; divides image_size.
  int patch_size = 0;
  int vision_width = 0;
  int vision_layers = 0;
  int vision_heads = 0;
  int text_width = 0;
  int text_layers = 0;
  int text_heads = 0;
  // Tokens of a text, start and end included.
  int context_length = 0;
  int vocabulary_size = 0;
  // D: dimensions of the embedding that both towers share.
  int embedding_size = 0;
  Activation activation = Activation::kQuickGelu;
  // Per channel (red, green, blue) of pixels in [0, 1]; OpenAI's.
  std::array<float, 3> pixel_mean = {0.48145466f, 0.4578275f, 0.40821073f};
  std::array<float, 3> pixel_deviation = {0.26862954f, 0.26130258f,
                                          0.27577711f};

  friend bool operator==(const ClipConfig&, const ClipConfig&) = default;
};

// Name → shape.
using TensorShapes = std::map<std::string, safetensors::Shape>;

// The names and shapes of a file's tensors.
TensorShapes ShapesOf(const safetensors::Header& header);

// Every tensor that a CLIP of this shape has.
TensorShapes ExpectedTensors(const ClipConfig& config);

// The two tensors of a linear head, which a CLIP may have beside them:
// W = U S Vᵀ on top of both towers, as V [D, D] and S [D].
inline constexpr char kHeadDirections[] = "head.v";
inline constexpr char kHeadSingularValues[] = "head.s";

// `expected`, and the two where `names` has one of them.
TensorShapes WithHeadLike(TensorShapes expected, const ClipConfig& config,
                          const TensorShapes& names);

// Reads the configuration off the tensors and the metadata, and checks that
// the tensors are exactly the expected ones, with or without a linear head.
//
// Sizes come from shapes. What shapes do not say comes from the metadata and
// has OpenAI's values where a key is absent:
//   attune.vision_heads, attune.text_heads   width / 64; 16 for ViT-H
//   attune.activation                        quick_gelu (or gelu)
//   attune.pixel_mean, attune.pixel_deviation  three numbers with commas
// attune.image_size and attune.context_length, where they are, must be what
// the shapes say; attune.architecture is a name for people.
//
// INVALID_ARGUMENT, reason UNSUPPORTED_TOWER for a ResNet; reason
// INVALID_CLIP naming the tensor that is missing, unexpected or of a wrong
// shape, or the metadata key with a value that makes no sense.
absl::StatusOr<ClipConfig> ReadClipConfig(
    const TensorShapes& shapes, const safetensors::Metadata& metadata);

// ReadClipConfig of a file, which also refuses tensors that hold integers.
absl::StatusOr<ClipConfig> ReadClipConfig(const safetensors::Header& header);

// "ViT-B-32", "ViT-L-14-336" (where pictures are not 224 pixels wide), or
// "ViT-12-48" for sizes without a letter.
std::string ArchitectureName(const ClipConfig& config);

// The metadata from which ReadClipConfig reads this configuration again, and
// "format", which other programs ask for.
safetensors::Metadata ClipMetadata(const ClipConfig& config);

}  // namespace attune

#endif  // ATTUNE_COMMON_SAFETENSORS_CLIP_LAYOUT_H_
