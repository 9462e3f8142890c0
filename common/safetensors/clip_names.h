// The names that other programs give to a CLIP's tensors, and how their
// tensors lie within the canonical ones (clip_layout.h). One table serves
// both ways: reading a foreign file and writing one.

#ifndef ATTUNE_COMMON_SAFETENSORS_CLIP_NAMES_H_
#define ATTUNE_COMMON_SAFETENSORS_CLIP_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/safetensors/clip_layout.h"

namespace attune {

enum class ClipLayout {
  // OpenAI's names, which open_clip's CLIP class has too: the canonical ones.
  kOpenAi,
  // open_clip's CustomTextCLIP: the text tower under "text.".
  kCustomText,
  // transformers.CLIPModel.
  kHuggingFace,
};

// "OpenAI", "open_clip with a text tower of its own", "Hugging Face".
absl::string_view LayoutName(ClipLayout layout);

// One tensor of a foreign layout.
struct LayoutTensor {
  std::string name;
  safetensors::Shape shape;
  // The canonical tensor that it is, or is a part of.
  std::string source;
  // Its first row there: query, key and value are rows of one tensor.
  int64_t first_row = 0;
  // Whether it is the transpose of the source, which has two dimensions.
  bool transposed = false;
};

// Every tensor that a CLIP of this shape has in a layout. Parts of one source
// follow each other, by row.
std::vector<LayoutTensor> LayoutTensors(const ClipConfig& config,
                                        ClipLayout layout);

// Which layout a file's names have.
// INVALID_ARGUMENT, reason UNSUPPORTED_TOWER for a tower that is no
// transformer of CLIP's own (ResNet, timm, a language model); INVALID_CLIP
// naming a tensor where no layout is recognised.
absl::StatusOr<ClipLayout> DetectLayout(const TensorShapes& shapes);

// Whether a file of some layout may hold this name although it is no weight:
// OpenAI's archives keep three integers, older files a causal mask and the
// numbers of the positions.
bool IsBookkeeping(absl::string_view name);

}  // namespace attune

#endif  // ATTUNE_COMMON_SAFETENSORS_CLIP_NAMES_H_
