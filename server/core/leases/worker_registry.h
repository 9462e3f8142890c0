#ifndef ATTUNE_SERVER_CORE_LEASES_WORKER_REGISTRY_H_
#define ATTUNE_SERVER_CORE_LEASES_WORKER_REGISTRY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace attune::core {

enum class WorkerRole { kTrain = 1, kServe = 2 };

enum class WorkerState {
  kIdle = 1,
  kBusy = 2,  // holds a task
  kLost = 3,  // not heard of for the lease's duration
};

struct WorkerDevice {
  std::string kind;  // "cpu" or "cuda"
  std::string name;
  int64_t memory_bytes = 0;
};

struct Worker {
  std::string id;
  WorkerState state = WorkerState::kIdle;
  std::vector<WorkerRole> roles;
  WorkerDevice device;
  std::string build;
  absl::Time register_time;
  absl::Time last_seen_time;
  std::string task;                          // "" for none
  std::vector<std::string> loaded_versions;  // NAME:N
};

// Who is there. Kept in memory: workers register again after a restart of the
// server. Thread-safe; never blocks.
class WorkerRegistry {
 public:
  // `clock` outlives the registry.
  WorkerRegistry(const Clock& clock, absl::Duration lost_after)
      : clock_(clock), lost_after_(lost_after) {}

  // Adds a worker, or replaces what was known of it. INVALID_ARGUMENT without
  // a usable id, a role or a known kind of device.
  absl::Status Register(absl::string_view id, std::vector<WorkerRole> roles,
                        WorkerDevice device, absl::string_view build);

  // The worker has just been heard of. NOT_FOUND, reason WORKER_UNKNOWN, when
  // it is not registered: it must register again.
  absl::Status Touch(absl::string_view id);

  // INVALID_ARGUMENT unless the worker has the role; NOT_FOUND as Touch.
  absl::Status RequireRole(absl::string_view id, WorkerRole role) const;

  // What it does and serves now; nothing for a worker that is not registered.
  void SetTask(absl::string_view id, absl::string_view task);
  void SetLoadedVersions(absl::string_view id,
                         std::vector<std::string> versions);

  // By id. A worker that was lost an hour ago is forgotten.
  std::vector<Worker> List();

  // Whether a worker that is not lost has the role.
  bool HasWorker(WorkerRole role) const;

 private:
  struct Entry {
    Worker worker;
    absl::Duration last_seen;  // monotonic
  };

  bool IsLost(const Entry& entry) const;

  const Clock& clock_;
  const absl::Duration lost_after_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Entry, std::less<>> workers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_LEASES_WORKER_REGISTRY_H_
