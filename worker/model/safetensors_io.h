// Tensors to and from safetensors files, and to and from the bytes of single
// tensors, which is how blobs travel.

#ifndef ATTUNE_WORKER_MODEL_SAFETENSORS_IO_H_
#define ATTUNE_WORKER_MODEL_SAFETENSORS_IO_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/safetensors/clip_layout.h"
#include "common/safetensors/safetensors.h"
#include "worker/model/clip.h"

namespace attune::model {

// A CLIP out of a file.
struct LoadedClip {
  ClipConfig config;
  Tensors tensors;
};

// A file's tensors, in their own types, and its metadata.
struct LoadedFile {
  Tensors tensors;
  safetensors::Metadata metadata;
};

// Reads any safetensors file. Errors are those of LoadClip that do not ask
// for a CLIP.
absl::StatusOr<LoadedFile> LoadTensors(const std::string& path);

// Reads a model from a safetensors file, as fp32 whatever the file holds.
// Errors name the file: NOT_FOUND (NOT_FOUND); the errors of ParseHeader and
// ReadClipConfig; INVALID_ARGUMENT (INVALID_CLIP) for a tensor that is not
// finite; INTERNAL (FILE_ERROR) when reading fails.
absl::StatusOr<LoadedClip> LoadClip(const std::string& path);

// Writes tensors, in the order of their names and in their own types, to a
// file beside `path` and renames it, so that `path` is whole or unchanged.
// INTERNAL, reason FILE_ERROR, naming the file.
// REQUIRES: types of safetensors::DataType; any device.
absl::Status SaveTensors(const std::string& path, const Tensors& tensors,
                         const safetensors::Metadata& metadata);

// One tensor from its bytes, on the CPU; the bytes are copied.
// INVALID_ARGUMENT, reason INVALID_TENSOR, when their number is wrong.
absl::StatusOr<at::Tensor> TensorFromBytes(safetensors::DataType type,
                                           const safetensors::Shape& shape,
                                           absl::string_view bytes);

// The bytes of a tensor, row-major and little-endian, any device.
std::string TensorBytes(const at::Tensor& tensor);

// What a header says of a tensor (without offsets).
// REQUIRES: a type of safetensors::DataType.
safetensors::TensorInfo DescribeTensor(const std::string& name,
                                       const at::Tensor& tensor);

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_SAFETENSORS_IO_H_
