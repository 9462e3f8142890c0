#include "worker/content/device.h"

#include <ATen/Context.h>
#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/error.h"

namespace attune::content {
namespace {

int GpuCount() {
  return at::hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0;
}

absl::Status NoCuda(absl::string_view message) {
  return Error(absl::StatusCode::kFailedPrecondition, "NO_CUDA", message);
}

// Name and memory of a GPU from the driver's own library, which needs no
// toolkit to compile against; left empty when it cannot be asked.
void DescribeGpu(int index, v1::WorkerDevice* description) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return;
  const auto init =
      reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto get =
      reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  const auto name = reinterpret_cast<int (*)(char*, int, int)>(
      dlsym(driver, "cuDeviceGetName"));
  const auto memory = reinterpret_cast<int (*)(size_t*, int)>(
      dlsym(driver, "cuDeviceTotalMem_v2"));
  int device = 0;
  char text[256] = "";
  size_t bytes = 0;
  if (init != nullptr && get != nullptr && name != nullptr &&
      memory != nullptr && init(0) == 0 && get(&device, index) == 0 &&
      name(text, sizeof(text), device) == 0 && memory(&bytes, device) == 0) {
    description->set_name(text);
    description->set_memory_bytes(static_cast<int64_t>(bytes));
  }
  dlclose(driver);
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

}  // namespace

absl::StatusOr<at::Device> ResolveDevice(absl::string_view name) {
  const int gpus = GpuCount();
  if (name == "cpu" || (name == "auto" && gpus == 0)) {
    return at::Device(at::kCPU);
  }
  int index = 0;
  absl::string_view rest = name;
  if (name != "auto" && name != "cuda" &&
      !(absl::ConsumePrefix(&rest, "cuda:") && absl::SimpleAtoi(rest, &index) &&
        index >= 0)) {
    return InvalidField("device", absl::StrCat("'", name,
                                               "' is not auto, cpu, cuda or "
                                               "cuda:N"));
  }
  if (!at::hasCUDA() && gpus == 0) {
    return NoCuda(
        "this attune-worker cannot use a GPU: it was built without CUDA, or "
        "the machine has no GPU or driver; use --device cpu, or build with the "
        "preset cuda");
  }
  if (index >= gpus) {
    return NoCuda(
        absl::StrCat("there is no GPU ", index, ": the machine has ", gpus));
  }
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

bool HasBf16(const at::Device& device) {
  if (device.is_cuda()) {
    return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
  }
  const auto capabilities = at::cpu::get_cpu_capabilities();
  for (const char* name : {"avx512_bf16", "amx_bf16"}) {
    const auto found = capabilities.find(name);
    if (found != capabilities.end() && found->second.isBool() &&
        found->second.toBool()) {
      return true;
    }
  }
  return false;
}

v1::WorkerDevice DescribeDevice(const at::Device& device) {
  v1::WorkerDevice description;
  if (device.is_cuda()) {
    description.set_kind("cuda");
    DescribeGpu(device.index(), &description);
  } else {
    description.set_kind("cpu");
    description.set_name(ProcessorName());
    description.set_memory_bytes(static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) *
                                 sysconf(_SC_PAGE_SIZE));
  }
  return description;
}

}  // namespace attune::content
