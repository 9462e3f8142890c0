#ifndef ATTUNE_WORKER_MODEL_INIT_H_
#define ATTUNE_WORKER_MODEL_INIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"

namespace attune::model {

// Names that NamedConfig knows: "tiny" (48 pixels, 3.9 M parameters, learns in
// minutes on a CPU), "ViT-B-32", "ViT-B-16", "ViT-L-14".
const std::vector<std::string>& ArchitectureNames();

// The shape of a named architecture.
// NOT_FOUND, reason NOT_FOUND, for a name that is not among them.
absl::StatusOr<ClipConfig> NamedConfig(absl::string_view name);

// Random fp32 tensors, distributed as OpenAI's CLIP initialises its modules
// (initialize_parameters in clip/model.py, PyTorch's defaults for the image
// tower). A function of the arguments: the same seed gives the same tensors
// on machines of one kind.
Tensors RandomTensors(const ClipConfig& config, uint64_t seed);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_INIT_H_
