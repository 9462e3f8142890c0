// A CLIP's sizes, read off the shapes of its tensors in any layout.

#ifndef ATTUNE_COMMON_SAFETENSORS_CLIP_SIZES_H_
#define ATTUNE_COMMON_SAFETENSORS_CLIP_SIZES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/safetensors/clip_layout.h"
#include "common/safetensors/clip_names.h"

namespace attune {

// The configuration without what shapes do not say (heads are 0, activation
// and preprocessing OpenAI's), once the tensors are exactly those of a CLIP
// of these sizes in this layout.
// INVALID_ARGUMENT, reason INVALID_CLIP naming the tensor that is missing,
// unexpected or of a wrong shape.
absl::StatusOr<ClipConfig> ReadClipSizes(const TensorShapes& shapes,
                                         ClipLayout layout);

}  // namespace attune

#endif  // ATTUNE_COMMON_SAFETENSORS_CLIP_SIZES_H_
