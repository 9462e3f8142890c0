#include "server/core/jobs/job_signals.h"

#include <utility>

namespace attune::core {

int64_t JobSignals::Watch(absl::string_view job_id, Listener listener) {
  absl::MutexLock lock(&mutex_);
  const int64_t id = next_id_++;
  watchers_.emplace(std::pair(std::string(job_id), id), std::move(listener));
  watched_job_.emplace(id, job_id);
  return id;
}

void JobSignals::Unwatch(int64_t id) {
  absl::MutexLock lock(&mutex_);
  const auto found = watched_job_.find(id);
  if (found == watched_job_.end()) return;
  watchers_.erase({found->second, id});
  watched_job_.erase(found);
}

void JobSignals::SetQueueListener(Listener listener) {
  absl::MutexLock lock(&mutex_);
  queue_listener_ = std::move(listener);
}

void JobSignals::Moved(const std::vector<JobMove>& moves) {
  bool queued = false;
  for (const JobMove& move : moves) {
    metrics_.JobMoved(move.from, move.to);
    Changed(move.job_id);
    queued |= move.to == storage::JobState::kQueued;
  }
  if (!queued) return;
  absl::MutexLock lock(&mutex_);
  if (queue_listener_) queue_listener_();
}

void JobSignals::Queued(absl::string_view job_id) {
  Changed(job_id);
  absl::MutexLock lock(&mutex_);
  if (queue_listener_) queue_listener_();
}

void JobSignals::Changed(absl::string_view job_id) {
  absl::MutexLock lock(&mutex_);
  for (auto watcher = watchers_.lower_bound({std::string(job_id), 0});
       watcher != watchers_.end() && watcher->first.first == job_id;
       ++watcher) {
    watcher->second();
  }
}

}  // namespace attune::core
