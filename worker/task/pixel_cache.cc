#include "worker/task/pixel_cache.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/ids.h"

namespace attune::task {
namespace {

namespace fs = std::filesystem;

// Raised when decoding or resizing gives other pixels than before.
constexpr char kPreprocessing[] = "rgb8-bicubic-1";
constexpr int64_t kSmallestKept = 16 << 10;
constexpr size_t kChecksumBytes = 64;

absl::string_view View(absl::Span<const uint8_t> pixels) {
  return {reinterpret_cast<const char*>(pixels.data()), pixels.size()};
}

}  // namespace

PixelCache::PixelCache(std::string folder) : folder_(std::move(folder)) {}

std::string PixelCache::Path(const std::string& digest, int size) const {
  return absl::StrCat(folder_, "/", kPreprocessing, "/", size, "/",
                      digest.substr(0, 2), "/", digest);
}

bool PixelCache::Get(const std::string& digest, int size,
                     absl::Span<uint8_t> pixels) const {
  if (folder_.empty()) return false;
  const std::string path = Path(digest, size);
  std::ifstream file(path, std::ios::binary);
  char checksum[kChecksumBytes];
  if (!file.read(reinterpret_cast<char*>(pixels.data()),
                 static_cast<std::streamsize>(pixels.size())) ||
      !file.read(checksum, kChecksumBytes)) {
    return false;
  }
  if (Sha256Hex(View(pixels)) != absl::string_view(checksum, kChecksumBytes)) {
    return false;
  }
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
  return true;
}

void PixelCache::Put(const std::string& digest, int size, int64_t encoded_bytes,
                     absl::Span<const uint8_t> pixels) const {
  if (folder_.empty() || encoded_bytes < kSmallestKept) return;
  const std::string path = Path(digest, size);
  const std::string part = absl::StrCat(path, ".", RandomHex(4), ".part");
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  std::ofstream file(part, std::ios::binary);
  file.write(reinterpret_cast<const char*>(pixels.data()),
             static_cast<std::streamsize>(pixels.size()));
  const std::string checksum = Sha256Hex(View(pixels));
  file.write(checksum.data(), kChecksumBytes);
  file.close();
  if (file.good()) {
    fs::rename(part, path, error);
  }
  if (!file.good() || error) fs::remove(part, error);
}

void PixelCache::Trim(int64_t max_bytes) const {
  struct Entry {
    fs::file_time_type used;
    int64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  int64_t total = 0;
  std::error_code error;
  fs::recursive_directory_iterator walk(folder_, error);
  for (; !error && walk != fs::recursive_directory_iterator();
       walk.increment(error)) {
    std::error_code gone;
    if (!walk->is_regular_file(gone)) continue;
    const auto bytes = static_cast<int64_t>(walk->file_size(gone));
    const fs::file_time_type used = walk->last_write_time(gone);
    if (gone) continue;
    entries.push_back({used, bytes, walk->path()});
    total += bytes;
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& entry : entries) {
    if (total <= max_bytes) break;
    if (fs::remove(entry.path, error)) total -= entry.bytes;
  }
}

}  // namespace attune::task
