#include "worker/task/pixel_store.h"

#include <ATen/Functions.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/model/torch_status.h"
#include "worker/transport/blob_transfer.h"

namespace attune::task {
namespace {

constexpr int64_t kCacheBytes = int64_t{20} << 30;

int64_t MemoryBytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

// uint8 of that shape: memory, or a mapped file for more than a quarter of the
// machine's.
absl::StatusOr<at::Tensor> Allocate(const std::vector<int64_t>& shape) {
  int64_t bytes = 1;
  for (int64_t size : shape) bytes *= size;
  if (bytes <= MemoryBytes() / 4) {
    return model::CatchTorchErrors([&]() -> absl::StatusOr<at::Tensor> {
      return at::empty(shape, at::kByte);
    });
  }
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(),
                                                       std::fclose);
  if (file == nullptr || ftruncate(fileno(file.get()), bytes) != 0) {
    return Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                 absl::StrCat("no room for ", bytes,
                              " bytes of pixels in the temporary folder"));
  }
  void* memory =
      mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
           MAP_SHARED, fileno(file.get()), 0);
  if (memory == MAP_FAILED) {
    return Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                 absl::StrCat("cannot map ", bytes, " bytes of pixels"));
  }
  return at::from_blob(
      memory, shape,
      [bytes](void* mapped) { munmap(mapped, static_cast<size_t>(bytes)); },
      at::kByte);
}

}  // namespace

absl::Status ForEachPicture(
    transport::ServerConnection& connection,
    const std::vector<std::string>& digests, content::WorkPool& pool,
    const std::function<void(size_t, const std::string&)>& use) {
  const absl::Status status = transport::GetBlobs(
      connection, digests, [&](size_t index, std::string bytes) {
        pool.Add(
            [&use, index, bytes = std::move(bytes)] { use(index, bytes); });
        return absl::OkStatus();
      });
  pool.Wait();
  return status;
}

absl::StatusOr<PixelStore> PixelStore::Load(
    transport::ServerConnection& connection, const ExampleSet& examples,
    const std::vector<int64_t>& images, const Options& options,
    const PictureProgress& progress) {
  const std::vector<std::string>& all = examples.images.values();
  std::vector<int64_t> rows(all.size(), -1);
  std::vector<int64_t> distinct;
  for (int64_t image : images) {
    if (rows[image] >= 0) continue;
    rows[image] = static_cast<int64_t>(distinct.size());
    distinct.push_back(image);
  }
  const auto count = static_cast<int64_t>(distinct.size());
  ATTUNE_ASSIGN_OR_RETURN(at::Tensor pixels,
                          Allocate({count, options.size, options.size, 3}));
  const size_t picture_bytes = size_t{3} * options.size * options.size;
  auto* const memory = pixels.data_ptr<uint8_t>();
  const auto row_of = [&](int64_t image) {
    return absl::Span<uint8_t>(memory + rows[image] * picture_bytes,
                               picture_bytes);
  };
  const PixelCache cache(options.cache_dir);
  content::WorkPool pool(options.threads);
  absl::Mutex mutex;
  // Guarded by mutex, as is `failure`.
  std::vector<int64_t> missing;
  std::atomic<int64_t> done = 0;
  const transport::StopSignal& stop = connection.stop();
  for (int64_t image : distinct) {
    pool.Add([&, image] {
      // What is cached needs no call that a stop would end.
      if (stop.stopped()) return;
      if (cache.Get(all[image], options.size, row_of(image))) {
        progress(++done, count);
      } else {
        absl::MutexLock lock(&mutex);
        missing.push_back(image);
      }
    });
  }
  pool.Wait();
  if (stop.stopped()) return absl::CancelledError("the task was asked to stop");
  std::sort(missing.begin(), missing.end());
  std::vector<std::string> digests;
  for (int64_t image : missing) digests.push_back(all[image]);
  absl::Status failure;
  ATTUNE_RETURN_IF_ERROR(ForEachPicture(
      connection, digests, pool, [&](size_t index, const std::string& bytes) {
        const int64_t image = missing[index];
        const absl::Status decoded =
            options.decoder->Preprocess(bytes, options.size, row_of(image));
        if (!decoded.ok()) {
          absl::MutexLock lock(&mutex);
          failure = absl::IsInvalidArgument(decoded)
                        ? Error(decoded.code(), "INVALID_IMAGE",
                                absl::StrCat("example ",
                                             examples.image_example[image],
                                             ": ", decoded.message()))
                        : decoded;
          return;
        }
        cache.Put(all[image], options.size, static_cast<int64_t>(bytes.size()),
                  row_of(image));
        progress(++done, count);
      }));
  ATTUNE_RETURN_IF_ERROR(failure);
  if (!options.cache_dir.empty()) cache.Trim(kCacheBytes);
  PixelStore store(std::move(pixels));
  store.rows_ = std::move(rows);
  return store;
}

absl::StatusOr<at::Tensor> PixelStore::Pixels(
    absl::Span<const int64_t> images) {
  return model::CatchTorchErrors([&]() -> absl::StatusOr<at::Tensor> {
    at::Tensor rows =
        at::empty({static_cast<int64_t>(images.size())}, at::kLong);
    for (size_t i = 0; i < images.size(); ++i) {
      rows.data_ptr<int64_t>()[i] = rows_[images[i]];
    }
    return pixels_.index_select(0, rows);
  });
}

}  // namespace attune::task
