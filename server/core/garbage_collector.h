#ifndef ATTUNE_SERVER_CORE_GARBAGE_COLLECTOR_H_
#define ATTUNE_SERVER_CORE_GARBAGE_COLLECTOR_H_

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/timed_mutex.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::core {

struct GarbageOptions {
  absl::Duration interval = absl::Hours(1);
  // Younger blobs stay: what will name them may not be written yet.
  absl::Duration grace = absl::Hours(1);
  // How long an upload that was cut can be gone on with.
  absl::Duration upload_lifetime = absl::Hours(24);
};

// Deletes the blobs that nothing names and that were last put before the
// grace time; returns how many.
absl::StatusOr<int64_t> CollectGarbage(storage::StateStore& state,
                                       storage::BlobStore& blobs,
                                       absl::Duration grace);

// Forgets the uploads that nobody has gone on with since `before`, so that
// their blobs become garbage; returns how many.
absl::StatusOr<int64_t> ForgetUploads(storage::StateStore& state,
                                      absl::Time before);

// Does both on a thread of its own, at every interval and when asked to.
// Thread-safe.
class GarbageCollector {
 public:
  // The arguments outlive the collector.
  GarbageCollector(storage::StateStore& state, storage::BlobStore& blobs,
                   const Clock& clock, const GarbageOptions& options);
  // Waits for a collection that runs.
  ~GarbageCollector();

  // Something was deleted.
  void Trigger();

 private:
  void Run();

  storage::StateStore& state_;
  storage::BlobStore& blobs_;
  const Clock& clock_;
  const GarbageOptions options_;
  TimedMutex mutex_;
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_GARBAGE_COLLECTOR_H_
