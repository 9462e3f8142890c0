// What inference calls, the batcher, the router and the workers' streams pass
// to one another.

#ifndef ATTUNE_SERVER_CORE_INFERENCE_INFERENCE_H_
#define ATTUNE_SERVER_CORE_INFERENCE_INFERENCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/models/served_version.h"

namespace attune::core {

enum class InputKind { kImage, kText };

// One picture or one text.
struct InferenceInput {
  std::string image;            // a file, for kImage
  std::vector<int32_t> tokens;  // start and end included, for kText

  int64_t size_bytes() const {
    return static_cast<int64_t>(image.size() + tokens.size() * sizeof(int32_t));
  }
};

// The answer to the inputs of one call.
struct Embeddings {
  int64_t dimensions = 0;
  // [inputs, dimensions], L2-normalised; zeros where an input failed.
  std::vector<float> values;
  // One an input; OK unless that input alone failed.
  std::vector<absl::Status> errors;
};

// Runs once, on any thread, without locks held; must not block.
using EmbeddingsCallback = absl::AnyInvocable<void(absl::StatusOr<Embeddings>)>;

// The inputs of one kind that one call wants embedded by one version. Made
// and changed by the router alone, under its lock.
struct InferenceGroup {
  std::shared_ptr<const ServedVersion> version;
  InputKind kind = InputKind::kImage;
  absl::Duration start;     // monotonic, as all times here
  absl::Duration deadline;  // when nobody waits for it any more
  absl::Duration next_check;
  EmbeddingsCallback done;
  Embeddings result;
  int64_t remaining = 0;  // inputs without an answer
  int64_t queued = 0;     // of these, the ones that no worker has
  bool finished = false;  // `done` has run or is about to
};

// One input on its way.
struct InferenceItem {
  std::shared_ptr<InferenceGroup> group;
  int64_t index = 0;  // in the group
  InferenceInput input;
  absl::Duration enqueued;
  int attempts = 0;  // workers that got it
};

// What a worker computes at once: items of one version and kind.
struct InferenceBatch {
  int64_t id = 0;
  std::shared_ptr<const ServedVersion> version;
  InputKind kind = InputKind::kImage;
  std::vector<InferenceItem> items;
};

// A worker's answer to a batch.
struct BatchAnswer {
  int64_t batch_id = 0;
  // [items, D], zeros where an item failed.
  std::vector<float> embeddings;
  // Index of an item, why it failed.
  std::vector<std::pair<int64_t, absl::Status>> item_errors;
  // Set when the whole batch failed.
  absl::Status status;
  absl::Duration forward_time;
};

// What a serving worker is.
struct ServingWorker {
  std::string id;
  std::string device;     // "cpu" or "cuda"
  int version_slots = 1;  // versions that fit in its memory at a time
  int preferred_batch_size = 1;
};

// The way to a worker. Called under the router's lock and in order: an
// implementation queues the message and neither blocks nor calls the router.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  virtual void SendLoad(const ServedVersion& version) = 0;
  virtual void SendUnload(const std::string& version_digest) = 0;
  virtual void SendBatch(const InferenceBatch& batch) = 0;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_INFERENCE_H_
