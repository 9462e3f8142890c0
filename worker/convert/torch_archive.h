// Files that torch.save and torch.jit.save write: a ZIP archive with a pickle
// of what was saved, data.pkl, and the tensors' bytes beside it. The pickle
// is read as data (pickle.h); an archive's code is not even opened.

#ifndef ATTUNE_WORKER_CONVERT_TORCH_ARCHIVE_H_
#define ATTUNE_WORKER_CONVERT_TORCH_ARCHIVE_H_

#include <string>

#include "absl/status/statusor.h"
#include "worker/model/clip.h"

namespace attune::convert {

struct TorchArchive {
  // By the names of a state_dict: a module's path, "visual.conv1.weight".
  model::Tensors tensors;
  // Whether it is a module with its code, as OpenAI's files are.
  bool is_torchscript = false;
};

// Reads the tensors of a module, a state_dict, or a training checkpoint that
// has one under "state_dict" or "model"; wrappers' prefixes ("module.",
// "_orig_mod.") are taken off.
//
// INVALID_ARGUMENT, reason INVALID_ARCHIVE: no archive, a truncated one, one
// without such a dictionary, or a tensor (named) that lies outside its bytes;
// INVALID_PICKLE as Pickle::Read. What LibTorch throws where memory ends is
// not caught.
absl::StatusOr<TorchArchive> ReadTorchArchive(const std::string& path);

}  // namespace attune::convert

#endif  // ATTUNE_WORKER_CONVERT_TORCH_ARCHIVE_H_
