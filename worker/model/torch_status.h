// The one place where LibTorch's exceptions become Status.

#ifndef ATTUNE_WORKER_MODEL_TORCH_STATUS_H_
#define ATTUNE_WORKER_MODEL_TORCH_STATUS_H_

#include <exception>
#include <type_traits>

#include "absl/status/status.h"

namespace attune::model {

// RESOURCE_EXHAUSTED, reason OUT_OF_MEMORY, when an allocation failed on any
// device; else INTERNAL, reason TORCH_ERROR, with the exception's first line.
absl::Status TorchErrorToStatus(const std::exception& error);

// function(), which returns a Status or a StatusOr, or the Status of what it
// throws.
template <typename Function>
std::invoke_result_t<Function> CatchTorchErrors(Function&& function) {
  try {
    return function();
  } catch (const std::exception& error) {
    return TorchErrorToStatus(error);
  }
}

}  // namespace attune::model

#endif  // ATTUNE_WORKER_MODEL_TORCH_STATUS_H_
