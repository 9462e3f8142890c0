#ifndef ATTUNE_CLIENT_MODEL_FOLDER_H_
#define ATTUNE_CLIENT_MODEL_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attune::client {

// Whose names and files an exported model has.
enum class ModelFormat {
  // One safetensors file, as the service has it.
  kOpenAi,
  // A folder for transformers.CLIPModel.from_pretrained: model.safetensors,
  // config.json, preprocessor_config.json, and CLIP's tokenizer where the
  // model has its vocabulary.
  kHuggingFace,
  // A folder for open_clip.create_model("local-dir:FOLDER"):
  // open_clip_model.safetensors, open_clip_config.json.
  kOpenClip,
};

// "openai", "huggingface", "open_clip"; INVALID_ARGUMENT (INVALID_FORMAT).
absl::StatusOr<ModelFormat> ParseModelFormat(absl::string_view name);

// The name of the tensors' file in a folder of this format.
std::string ModelFileName(ModelFormat format);

// Writes the folder's files out of a safetensors file in OpenAI's layout; the
// folder must be there. Existing files are replaced once all new ones are
// written. The values keep their types.
// INVALID_ARGUMENT as ParseHeader and ReadClipConfig for a file that is no
// such model; INTERNAL (FILE_ERROR) when it cannot be read;
// FAILED_PRECONDITION (FILE_NOT_WRITTEN).
// REQUIRES: format is not kOpenAi.
absl::Status WriteModelFolder(const std::string& source, ModelFormat format,
                              const std::string& folder);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_MODEL_FOLDER_H_
