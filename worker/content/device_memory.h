#ifndef ATTUNE_WORKER_CONTENT_DEVICE_MEMORY_H_
#define ATTUNE_WORKER_CONTENT_DEVICE_MEMORY_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace attune::content {

// What a device's memory holds, in bytes.
struct MemoryUse {
  int64_t total = 0;
  int64_t free = 0;
  int64_t own = 0;  // of this process

  // Whether others have so little of it that a task that runs out of memory
  // would do so again.
  bool OtherwiseFree() const { return total - free - own < total / 4; }
};

// Of a GPU as its allocator sees it, of the machine for the CPU. A device that
// cannot be asked is otherwise free.
MemoryUse ReadMemoryUse(const at::Device& device);

// The machine's memory out of the texts of /proc/meminfo and /proc/self/statm.
MemoryUse ParseMemoryUse(const std::string& meminfo, const std::string& statm,
                         int64_t page_bytes);

}  // namespace attune::content

#endif  // ATTUNE_WORKER_CONTENT_DEVICE_MEMORY_H_
