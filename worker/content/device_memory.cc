#include "worker/content/device_memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

namespace attune::content {
namespace {

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

MemoryUse OfGpu(const at::Device& device) {
  try {
    at::DeviceAllocator& allocator = *at::getDeviceAllocator(device.type());
    const auto [free, total] = allocator.getMemoryInfo(device.index());
    // Index 0: of blocks of any size.
    const int64_t own =
        allocator.getDeviceStats(device.index()).reserved_bytes[0].current;
    return {.total = static_cast<int64_t>(total),
            .free = static_cast<int64_t>(free),
            .own = own};
  } catch (const c10::Error&) {
    return {};
  }
}

}  // namespace

MemoryUse ParseMemoryUse(const std::string& meminfo, const std::string& statm,
                         int64_t page_bytes) {
  MemoryUse use;
  std::istringstream lines(meminfo);
  std::string name;
  int64_t kibibytes = 0;
  std::string rest;
  while (lines >> name >> kibibytes && std::getline(lines, rest)) {
    if (name == "MemTotal:") use.total = kibibytes << 10;
    if (name == "MemAvailable:") use.free = kibibytes << 10;
  }
  int64_t size = 0;
  int64_t resident = 0;
  if (std::istringstream(statm) >> size >> resident) {
    use.own = resident * page_bytes;
  }
  return use;
}

MemoryUse ReadMemoryUse(const at::Device& device) {
  if (device.is_cuda()) return OfGpu(device);
  return ParseMemoryUse(ReadFile("/proc/meminfo"), ReadFile("/proc/self/statm"),
                        sysconf(_SC_PAGE_SIZE));
}

}  // namespace attune::content
