#ifndef ATTUNE_WORKER_CONTENT_DEVICE_H_
#define ATTUNE_WORKER_CONTENT_DEVICE_H_

#include <ATen/core/Tensor.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attune/v1/types.pb.h"

namespace attune::content {

// The device that a flag names: "cpu", "cuda", "cuda:N", or "auto", which is
// the first GPU where there is one and this build can use it.
// INVALID_ARGUMENT for another name; FAILED_PRECONDITION (reason NO_CUDA) for
// a GPU that is not there or that this build cannot use.
absl::StatusOr<at::Device> ResolveDevice(absl::string_view name);

// Whether the device has bf16 arithmetic: a CPU with AVX512-BF16 or AMX, a GPU
// of compute capability 8.0 or above.
bool HasBf16(const at::Device& device);

// What the worker says of its device. Makes no context on a GPU.
v1::WorkerDevice DescribeDevice(const at::Device& device);

}  // namespace attune::content

#endif  // ATTUNE_WORKER_CONTENT_DEVICE_H_
