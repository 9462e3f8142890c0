// A checkpoint of any program, as it lies on disk.

#ifndef ATTUNE_WORKER_CONVERT_SOURCE_FILE_H_
#define ATTUNE_WORKER_CONVERT_SOURCE_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/safetensors/safetensors.h"
#include "worker/model/clip.h"

namespace attune::convert {

struct SourceFile {
  enum class Kind {
    kSafetensors,
    // torch.jit.save, as OpenAI published its models.
    kTorchScript,
    // torch.save of a state_dict.
    kStateDict,
  };

  // The file itself, where a folder was named.
  std::string path;
  Kind kind = Kind::kSafetensors;
  // In their own names and types.
  model::Tensors tensors;
  // Of a safetensors file.
  safetensors::Metadata metadata;
};

// "safetensors", "TorchScript archive", "state_dict".
absl::string_view KindName(SourceFile::Kind kind);

// Reads a file, or a folder's file under one of the names that Hugging Face
// and open_clip give it; what it is shows in its first bytes.
//
// Errors name the file: NOT_FOUND (NOT_FOUND); INVALID_ARGUMENT with the
// reasons of safetensors::ParseHeader and ReadTorchArchive, or UNKNOWN_FORMAT
// for another file, among them what PyTorch before 1.6 wrote; INTERNAL
// (FILE_ERROR).
absl::StatusOr<SourceFile> ReadSourceFile(const std::string& path);

}  // namespace attune::convert

#endif  // ATTUNE_WORKER_CONVERT_SOURCE_FILE_H_
