#ifndef ATTUNE_WORKER_TASK_PIXEL_STORE_H_
#define ATTUNE_WORKER_TASK_PIXEL_STORE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/content/work_pool.h"
#include "worker/decode/picture_decoder.h"
#include "worker/task/example_set.h"
#include "worker/task/pixel_cache.h"
#include "worker/train/training_data.h"
#include "worker/transport/server_connection.h"

namespace attune::task {

// Called now and then with how many of how many pictures are done.
using PictureProgress = std::function<void(int64_t done, int64_t total)>;

// Fetches pictures in order and calls `use` for each, from the pool's threads.
// Errors of GetBlobs.
absl::Status ForEachPicture(
    transport::ServerConnection& connection,
    const std::vector<std::string>& digests, content::WorkPool& pool,
    const std::function<void(size_t index, const std::string& bytes)>& use);

// Every picture of an example set, decoded, in one piece of memory; where that
// is much, in a file without a name that the kernel may page out.
class PixelStore : public train::PixelSource {
 public:
  struct Options {
    // Side of the model's square input.
    int size = 0;
    // Decoding threads.
    int threads = 1;
    // Folder of the pixel cache, "" for none.
    std::string cache_dir;
    // Outlives the loading.
    decode::PictureDecoder* decoder = nullptr;
  };

  // Fetches those of `images` (numbers in examples.images) that the cache
  // lacks and decodes them.
  // INVALID_ARGUMENT (reason INVALID_IMAGE) naming the example of one that
  // cannot be decoded; RESOURCE_EXHAUSTED (OUT_OF_MEMORY); CANCELLED when the
  // connection is stopped; errors of GetBlobs.
  static absl::StatusOr<PixelStore> Load(
      transport::ServerConnection& connection, const ExampleSet& examples,
      const std::vector<int64_t>& images, const Options& options,
      const PictureProgress& progress);

  // REQUIRES: numbers that were given to Load.
  absl::StatusOr<at::Tensor> Pixels(absl::Span<const int64_t> images) override;

 private:
  explicit PixelStore(at::Tensor pixels) : pixels_(std::move(pixels)) {}

  // uint8 [N, S, S, 3].
  at::Tensor pixels_;
  // Of each image of the set, its row; −1 for none.
  std::vector<int64_t> rows_;
};

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_PIXEL_STORE_H_
