#include "server/core/leases/worker_registry.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune::core {
namespace {

constexpr size_t kMaxIdBytes = 128;
constexpr absl::Duration kForgetAfter = absl::Hours(1);

bool IsUsableId(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

absl::Status UnknownWorker(absl::string_view id) {
  return Error(
      absl::StatusCode::kNotFound, "WORKER_UNKNOWN",
      absl::StrCat("worker '", id, "' is not registered: call Register first"));
}

}  // namespace

absl::Status WorkerRegistry::Register(absl::string_view id,
                                      std::vector<WorkerRole> roles,
                                      WorkerDevice device,
                                      absl::string_view build) {
  if (!IsUsableId(id)) {
    return InvalidField("worker_id",
                        "must have 1 to 128 letters, digits, '-', '_' or '.'");
  }
  if (roles.empty()) return InvalidField("roles", "must name a role");
  if (device.kind != "cpu" && device.kind != "cuda") {
    return InvalidField("device.kind", "must be \"cpu\" or \"cuda\"");
  }
  absl::MutexLock lock(&mutex_);
  Entry& entry = workers_[std::string(id)];
  entry.worker.id = std::string(id);
  entry.worker.roles = std::move(roles);
  entry.worker.device = std::move(device);
  entry.worker.build = std::string(build);
  entry.worker.register_time = entry.worker.last_seen_time = clock_.WallNow();
  entry.last_seen = clock_.MonotonicNow();
  return absl::OkStatus();
}

absl::Status WorkerRegistry::Touch(absl::string_view id) {
  absl::MutexLock lock(&mutex_);
  const auto found = workers_.find(id);
  if (found == workers_.end()) return UnknownWorker(id);
  found->second.worker.last_seen_time = clock_.WallNow();
  found->second.last_seen = clock_.MonotonicNow();
  return absl::OkStatus();
}

absl::Status WorkerRegistry::RequireRole(absl::string_view id,
                                         WorkerRole role) const {
  absl::MutexLock lock(&mutex_);
  const auto found = workers_.find(id);
  if (found == workers_.end()) return UnknownWorker(id);
  const std::vector<WorkerRole>& roles = found->second.worker.roles;
  if (std::find(roles.begin(), roles.end(), role) == roles.end()) {
    return InvalidField(
        "worker_id",
        absl::StrCat("worker '", id, "' has not registered for this role"));
  }
  return absl::OkStatus();
}

void WorkerRegistry::SetTask(absl::string_view id, absl::string_view task) {
  absl::MutexLock lock(&mutex_);
  const auto found = workers_.find(id);
  if (found != workers_.end()) found->second.worker.task = std::string(task);
}

void WorkerRegistry::SetLoadedVersions(absl::string_view id,
                                       std::vector<std::string> versions) {
  absl::MutexLock lock(&mutex_);
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  found->second.worker.loaded_versions = std::move(versions);
}

std::vector<Worker> WorkerRegistry::List() {
  absl::MutexLock lock(&mutex_);
  std::vector<Worker> workers;
  for (auto entry = workers_.begin(); entry != workers_.end();) {
    if (clock_.MonotonicNow() - entry->second.last_seen >
        lost_after_ + kForgetAfter) {
      entry = workers_.erase(entry);
      continue;
    }
    Worker worker = entry->second.worker;
    worker.state = IsLost(entry->second) ? WorkerState::kLost
                   : worker.task.empty() ? WorkerState::kIdle
                                         : WorkerState::kBusy;
    workers.push_back(std::move(worker));
    ++entry;
  }
  return workers;
}

bool WorkerRegistry::HasWorker(WorkerRole role) const {
  absl::MutexLock lock(&mutex_);
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& item) {
    const std::vector<WorkerRole>& roles = item.second.worker.roles;
    return !IsLost(item.second) &&
           std::find(roles.begin(), roles.end(), role) != roles.end();
  });
}

bool WorkerRegistry::IsLost(const Entry& entry) const {
  return clock_.MonotonicNow() - entry.last_seen > lost_after_;
}

}  // namespace attune::core
