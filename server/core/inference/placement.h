#ifndef ATTUNE_SERVER_CORE_INFERENCE_PLACEMENT_H_
#define ATTUNE_SERVER_CORE_INFERENCE_PLACEMENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "server/core/inference/inference.h"

namespace attune::core {

// Which serving worker has which version, and where a wanted one is to go. A
// worker holds as many versions as it has slots. Times are monotonic and the
// caller's. Not thread-safe.
class Placement {
 public:
  // A version on a worker.
  struct Slot {
    std::shared_ptr<const ServedVersion> version;
    bool loaded = false;  // false while it loads
    absl::Duration last_used;
    int batches = 0;  // in flight
  };
  struct Worker {
    ServingWorker about;
    std::map<std::string, Slot> slots;  // by version digest

    bool full() const {
      return static_cast<int>(slots.size()) >= about.version_slots;
    }
    int batches() const;
  };
  // Load it there, after unloading that ("": there is a free slot).
  struct Move {
    int64_t session = 0;
    std::string unload;
  };

  // `session` is a new number; a worker has at least one slot.
  void Add(int64_t session, const ServingWorker& worker);
  void Remove(int64_t session) { workers_.erase(session); }
  const std::map<int64_t, Worker>& workers() const { return workers_; }

  // Whether some worker has the version, or has or loads it.
  bool IsLoaded(const std::string& digest) const;
  bool IsPlaced(const std::string& digest) const;
  // Whether no worker is loading it.
  bool AllLoaded(const std::string& digest) const;

  // The least busy worker that has the version and fewer than `max_batches`;
  // 0 when there is none.
  int64_t PickWorker(const std::string& digest, int max_batches) const;

  // Chooses a worker that does not have the version, whose first input waits
  // since `head`, and books a slot: a free one of the emptiest worker, else
  // that of a version without batches in flight, rather one that nobody waits
  // for (`waiting_since` is InfiniteDuration), and of these the one used least
  // recently; never that of a version with an older wait. A version that is
  // placed already only takes what nobody waits for. nullopt: nothing can go
  // now.
  std::optional<Move> Place(
      std::shared_ptr<const ServedVersion> version, absl::Duration head,
      absl::Duration now,
      absl::FunctionRef<absl::Duration(const std::string&)> waiting_since);

  // What workers report; a version that they do not have is passed over.
  void Loaded(int64_t session, const std::string& digest);
  void Unloaded(int64_t session, const std::string& digest);

  // REQUIRES: the worker has the version.
  void BatchSent(int64_t session, const std::string& digest,
                 absl::Duration now);
  void BatchEnded(int64_t session, const std::string& digest);

 private:
  std::map<int64_t, Worker> workers_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_PLACEMENT_H_
