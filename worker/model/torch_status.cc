#include "worker/model/torch_status.h"

#include <c10/util/Exception.h>

#include <new>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune::model {

absl::Status TorchErrorToStatus(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  absl::string_view message = torch_error != nullptr
                                  ? torch_error->what_without_backtrace()
                                  : error.what();
  message = message.substr(0, message.find('\n'));
  // The CPU's allocator has no exception type of its own, nor has what CUDA and
  // its libraries cannot allocate outside of LibTorch's.
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
      dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
      absl::StrContains(message, "can't allocate memory") ||
      absl::StrContains(message, "CUDA error: out of memory") ||
      absl::StrContains(message, "STATUS_ALLOC_FAILED")) {
    return Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                 absl::StrCat("out of memory: ", message,
                              "; use a smaller batch or micro-batch"));
  }
  return Error(absl::StatusCode::kInternal, "TORCH_ERROR", message);
}

}  // namespace attune::model
