// Checkpoints of OpenAI, Hugging Face and open_clip become a CLIP with
// OpenAI's names.

#ifndef ATTUNE_WORKER_CONVERT_CONVERT_H_
#define ATTUNE_WORKER_CONVERT_CONVERT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/safetensors/clip_layout.h"
#include "common/safetensors/clip_names.h"
#include "worker/convert/source_file.h"
#include "worker/model/clip.h"

namespace attune::convert {

struct ConvertOptions {
  // Hugging Face's config.json or open_clip's JSON; empty: the one that lies
  // beside the file, where there is one.
  std::string config_path = {};
  // Where no configuration says it.
  std::optional<Activation> activation = std::nullopt;
  // Side of the pictures to interpolate the positions for, a multiple of the
  // patch size; 0: as the file has it.
  int image_size = 0;
};

struct Converted {
  ClipConfig config;
  // fp32, whatever the file held: what the service computes in, and widening
  // loses nothing.
  model::Tensors tensors;
  // Where they came from.
  SourceFile::Kind kind = SourceFile::Kind::kSafetensors;
  ClipLayout layout = ClipLayout::kOpenAi;
  // The configuration that was read; empty for none.
  std::string config_path;
  // Whether nothing said the activation, so that OpenAI's was taken.
  bool assumed_activation = false;
};

// Reads and converts the checkpoint at `path`, a file or a folder.
//
// What shapes do not say (heads, activation, preprocessing) comes from the
// configuration, from the metadata of a file of ours, or is OpenAI's. Hugging
// Face's files need their config.json.
//
// Errors name the file and the tensor or key: those of ReadSourceFile,
// DetectLayout, ReadClipSizes and ReadClipConfigFile; INVALID_ARGUMENT
// (INVALID_CLIP) for a tensor that is not finite or holds no fractions;
// (INVALID_OPTION) for an option that does not fit the file.
absl::StatusOr<Converted> ConvertCheckpoint(const std::string& path,
                                            const ConvertOptions& options);

// The table of positions [1 + G², W] for pictures of G'² patches: the class
// token's row as it is, the rest interpolated as open_clip does it (bicubic,
// antialiased, corners not aligned).
at::Tensor ResizePositions(const at::Tensor& positions, int grid);

}  // namespace attune::convert

#endif  // ATTUNE_WORKER_CONVERT_CONVERT_H_
