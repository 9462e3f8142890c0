#include "server/core/inference/placement.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace attune::core {

int Placement::Worker::batches() const {
  int total = 0;
  for (const auto& [digest, slot] : slots) total += slot.batches;
  return total;
}

void Placement::Add(int64_t session, const ServingWorker& worker) {
  Worker added{.about = worker, .slots = {}};
  added.about.version_slots = std::max(1, worker.version_slots);
  workers_.emplace(session, std::move(added));
}

bool Placement::IsLoaded(const std::string& digest) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const auto slot = entry.second.slots.find(digest);
    return slot != entry.second.slots.end() && slot->second.loaded;
  });
}

bool Placement::IsPlaced(const std::string& digest) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.slots.contains(digest);
  });
}

bool Placement::AllLoaded(const std::string& digest) const {
  return std::all_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const auto slot = entry.second.slots.find(digest);
    return slot == entry.second.slots.end() || slot->second.loaded;
  });
}

int64_t Placement::PickWorker(const std::string& digest,
                              int max_batches) const {
  int64_t best = 0;
  int best_batches = max_batches;
  for (const auto& [session, worker] : workers_) {
    const auto slot = worker.slots.find(digest);
    if (slot == worker.slots.end() || !slot->second.loaded) continue;
    if (const int batches = worker.batches(); batches < best_batches) {
      best = session;
      best_batches = batches;
    }
  }
  return best;
}

std::optional<Placement::Move> Placement::Place(
    std::shared_ptr<const ServedVersion> version, absl::Duration head,
    absl::Duration now,
    absl::FunctionRef<absl::Duration(const std::string&)> waiting_since) {
  const std::string wanted = version->version.digest;
  const bool placed = IsPlaced(wanted);
  std::optional<Move> free;
  size_t free_used = 0;
  std::optional<Move> taken;
  // Smaller is the better victim: not waited for, then used least recently.
  std::tuple<bool, absl::Duration> taken_rank;
  for (const auto& [session, worker] : workers_) {
    if (worker.slots.contains(wanted)) continue;
    if (!worker.full()) {
      if (!free || worker.slots.size() < free_used) {
        free = Move{session, ""};
        free_used = worker.slots.size();
      }
      continue;
    }
    for (const auto& [digest, slot] : worker.slots) {
      if (!slot.loaded || slot.batches > 0) continue;
      const absl::Duration since = waiting_since(digest);
      if (since <= head || (placed && since != absl::InfiniteDuration())) {
        continue;
      }
      const std::tuple<bool, absl::Duration> rank(
          since != absl::InfiniteDuration(), slot.last_used);
      if (!taken || rank < taken_rank) {
        taken = Move{session, digest};
        taken_rank = rank;
      }
    }
  }
  const std::optional<Move> move = free ? free : taken;
  if (!move) return std::nullopt;
  Worker& worker = workers_.at(move->session);
  worker.slots.erase(move->unload);
  worker.slots.emplace(
      wanted,
      Slot{.version = std::move(version), .loaded = false, .last_used = now});
  return move;
}

void Placement::Loaded(int64_t session, const std::string& digest) {
  const auto worker = workers_.find(session);
  if (worker == workers_.end()) return;
  const auto slot = worker->second.slots.find(digest);
  if (slot != worker->second.slots.end()) slot->second.loaded = true;
}

void Placement::Unloaded(int64_t session, const std::string& digest) {
  const auto worker = workers_.find(session);
  if (worker != workers_.end()) worker->second.slots.erase(digest);
}

void Placement::BatchSent(int64_t session, const std::string& digest,
                          absl::Duration now) {
  Slot& slot = workers_.at(session).slots.at(digest);
  ++slot.batches;
  slot.last_used = now;
}

void Placement::BatchEnded(int64_t session, const std::string& digest) {
  const auto worker = workers_.find(session);
  if (worker == workers_.end()) return;
  const auto slot = worker->second.slots.find(digest);
  if (slot != worker->second.slots.end()) --slot->second.batches;
}

}  // namespace attune::core
