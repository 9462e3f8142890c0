// What the router does whenever something has changed or time has passed.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "server/core/inference/router.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

constexpr absl::Duration kRetryDelay = absl::Seconds(1);
// A call that waits for a worker or a load is answered this much before its
// deadline, so that its client reads why; one of less than a second is not.
constexpr absl::Duration kAnswerMargin = absl::Milliseconds(200);
constexpr absl::Duration kShortCall = absl::Seconds(1);
// A version whose workers are all busy is loaded by another one when its
// inputs have waited this long.
constexpr absl::Duration kReplicateAfter = absl::Milliseconds(50);

absl::Status Unavailable(absl::string_view reason, absl::string_view message) {
  return WithRetryDelay(Error(absl::StatusCode::kUnavailable, reason, message),
                        kRetryDelay);
}

}  // namespace

void Router::Advance(Completions& completions) {
  if (stopped_) return;
  const absl::Duration now = clock_.MonotonicNow();
  CheckGroups(now, completions);
  LoadVersions(now);
  while (SendOneBatch(now)) {
  }
  WakeUp(now);
}

void Router::CheckAt(absl::Duration time, Ticket group) {
  group->next_check = time;
  groups_.emplace(time, std::move(group));
}

void Router::CheckGroups(absl::Duration now, Completions& completions) {
  while (!groups_.empty() && groups_.begin()->first <= now) {
    const Ticket group = groups_.begin()->second;
    groups_.erase(groups_.begin());
    absl::Duration next;
    absl::Status status = CheckGroup(*group, now, &next);
    if (status.ok()) {
      CheckAt(next, group);
    } else {
      metrics_.InferenceRejected(
          absl::IsDeadlineExceeded(status) ? "expired" : "not_served",
          group->remaining);
      Finish(*group, std::move(status), completions);
    }
  }
}

absl::Status Router::CheckGroup(const InferenceGroup& group, absl::Duration now,
                                absl::Duration* next) const {
  if (now >= group.deadline) {
    return absl::DeadlineExceededError(
        group.queued > 0 ? "the deadline passed in the inference queue"
                         : "the deadline passed while a worker computed");
  }
  const absl::Duration answer_at = group.deadline - group.start > kShortCall
                                       ? group.deadline - kAnswerMargin
                                       : group.deadline;
  *next = now < answer_at ? answer_at : group.deadline;
  const storage::Version& version = group.version->version;
  if (group.queued == 0 || placement_.IsLoaded(version.digest)) {
    return absl::OkStatus();
  }
  if (connections_.empty()) {
    const absl::Duration give_up =
        std::min(answer_at, std::max(group.start, no_worker_since_) +
                                options_.no_worker_wait);
    if (now >= give_up) {
      return Unavailable("NO_WORKER",
                         "no worker serves: start attune-worker with "
                         "--roles serve");
    }
    *next = give_up;
  } else if (now >= answer_at) {
    return Unavailable(
        "MODEL_NOT_LOADED",
        absl::StrCat(VersionName(version),
                     " is being loaded: try again, or with more time"));
  }
  return absl::OkStatus();
}

void Router::LoadVersions(absl::Duration now) {
  auto heads = batcher_.Heads();
  std::sort(heads.begin(), heads.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto waiting_since = [&heads](const std::string& digest) {
    const auto found = std::find_if(
        heads.begin(), heads.end(),
        [&](const auto& head) { return head.first.version_digest == digest; });
    return found == heads.end() ? absl::InfiniteDuration() : found->second;
  };
  for (const auto& [key, head] : heads) {
    const std::string& digest = key.version_digest;
    if (placement_.IsPlaced(digest)) {
      const bool behind =
          now - head >= kReplicateAfter && placement_.AllLoaded(digest) &&
          placement_.PickWorker(digest, options_.max_batches_in_flight) == 0;
      if (!behind) continue;
    }
    const auto move =
        placement_.Place(batcher_.Version(key), head, now, waiting_since);
    if (!move) continue;
    WorkerLink& link = *connections_.at(move->session).link;
    if (!move->unload.empty()) {
      link.SendUnload(move->unload);
      ReportLoaded(placement_.workers().at(move->session).about.id);
    }
    link.SendLoad(*batcher_.Version(key));
  }
}

bool Router::SendOneBatch(absl::Duration now) {
  const auto heads = batcher_.Heads();
  // A worker without a free slot takes no more inputs that came after those of
  // a version that no worker has: then one of its versions can make room.
  absl::Duration oldest_unplaced = absl::InfiniteDuration();
  for (const auto& [key, head] : heads) {
    if (!placement_.IsPlaced(key.version_digest)) {
      oldest_unplaced = std::min(oldest_unplaced, head);
    }
  }
  const Batcher::Key* best = nullptr;
  absl::Duration best_head = absl::InfiniteDuration();
  int64_t best_session = 0;
  for (const auto& [key, head] : heads) {
    const int64_t session = placement_.PickWorker(
        key.version_digest, options_.max_batches_in_flight);
    if (session == 0 || head >= best_head) continue;
    const Placement::Worker& worker = placement_.workers().at(session);
    if (worker.full() && head > oldest_unplaced) continue;
    if (!batcher_.Ready(key, worker.about.preferred_batch_size, now)) continue;
    best = &key;
    best_head = head;
    best_session = session;
  }
  if (best == nullptr) return false;
  InferenceBatch batch = batcher_.Cut(
      *best, placement_.workers().at(best_session).about.preferred_batch_size);
  batch.id = next_batch_++;
  metrics_.BatchSent(static_cast<int64_t>(batch.items.size()));
  for (const InferenceItem& item : batch.items) {
    metrics_.ItemQueued(now - item.enqueued);
  }
  placement_.BatchSent(best_session, best->version_digest, now);
  Connection& connection = connections_.at(best_session);
  connection.link->SendBatch(batch);
  connection.batches.emplace(batch.id, std::move(batch));
  return true;
}

void Router::WakeUp(absl::Duration now) {
  absl::Duration time =
      groups_.empty() ? absl::InfiniteDuration() : groups_.begin()->first;
  for (const auto& [key, head] : batcher_.Heads()) {
    // Without a worker that can take it, an event will come first.
    if (const absl::Duration ready = head + options_.batcher.max_delay;
        ready > now &&
        placement_.PickWorker(key.version_digest,
                              options_.max_batches_in_flight) != 0) {
      time = std::min(time, ready);
    } else if (head + kReplicateAfter > now) {
      time = std::min(time, head + kReplicateAfter);
    }
  }
  if (time == absl::InfiniteDuration() ||
      (!wake_ups_.empty() && *wake_ups_.begin() <= time)) {
    return;
  }
  wake_ups_.insert(time);
  timers_.After(time - now, [lifeline = lifeline_] {
    absl::MutexLock lock(&lifeline->mutex);
    if (lifeline->router != nullptr) lifeline->router->OnTimer();
  });
}

void Router::OnTimer() {
  Completions completions;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Duration now = clock_.MonotonicNow();
    wake_ups_.erase(wake_ups_.begin(), wake_ups_.upper_bound(now));
    Advance(completions);
  }
  Run(std::move(completions));
}

}  // namespace attune::core
