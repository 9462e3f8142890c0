#ifndef ATTUNE_WORKER_TASK_PIXEL_CACHE_H_
#define ATTUNE_WORKER_TASK_PIXEL_CACHE_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace attune::task {

// Decoded and resized pictures on the local disk, by (digest, size,
// preprocessing): a picture of a camera takes longer to fetch, decode and
// resize than to read. Files carry a checksum, so that what a crash left
// behind is a miss and never wrong. Nothing here fails: without a usable
// folder every look-up is a miss. Thread-safe, also between processes.
class PixelCache {
 public:
  // `folder` is made when it is missing; "" for no cache.
  explicit PixelCache(std::string folder);

  // Reads the picture into `pixels`, size · size · 3 bytes; false for a miss.
  bool Get(const std::string& digest, int size,
           absl::Span<uint8_t> pixels) const;

  // Keeps a picture; `encoded_bytes` is the length of its file. Small ones,
  // which decode faster than a file is written, are not kept.
  void Put(const std::string& digest, int size, int64_t encoded_bytes,
           absl::Span<const uint8_t> pixels) const;

  // Removes what has not been used for longest until at most `max_bytes` are
  // left.
  void Trim(int64_t max_bytes) const;

 private:
  std::string Path(const std::string& digest, int size) const;

  std::string folder_;
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_PIXEL_CACHE_H_
