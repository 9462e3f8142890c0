// The JSON files that Hugging Face and open_clip keep beside a CLIP's tensors.

#ifndef ATTUNE_COMMON_SAFETENSORS_CLIP_FILES_H_
#define ATTUNE_COMMON_SAFETENSORS_CLIP_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/safetensors/clip_layout.h"

namespace attune {

// Reads transformers' config.json, or open_clip's open_clip_config.json or
// model configuration; which one it is shows in its keys. `config` has the
// sizes of the tensors (ReadClipSizes) and gets heads and activation, and
// from open_clip's file the preprocessing.
// INVALID_ARGUMENT, reason INVALID_CLIP naming the key: no such file, a size
// that is not the tensors', an option that is not computed here.
absl::Status ReadClipConfigFile(absl::string_view json, ClipConfig& config);

// Reads transformers' preprocessor_config.json into mean and deviation; the
// rest must be CLIP's own preprocessing for pictures of config.image_size.
// Errors as above.
absl::Status ReadPreprocessorFile(absl::string_view json, ClipConfig& config);

// The files with which a CLIP of this configuration loads elsewhere.
std::string HuggingFaceConfigFile(const ClipConfig& config);
std::string HuggingFacePreprocessorFile(const ClipConfig& config);
std::string OpenClipConfigFile(const ClipConfig& config);

}  // namespace attune

#endif  // ATTUNE_COMMON_SAFETENSORS_CLIP_FILES_H_
