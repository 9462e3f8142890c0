#include "server/core/inference/batcher.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace attune::core {
namespace {

constexpr absl::Duration kRetryWhenFull = absl::Milliseconds(500);

Batcher::Key KeyOf(const InferenceGroup& group) {
  return {group.version->version.digest, group.kind};
}

}  // namespace

absl::Status Batcher::Add(const std::shared_ptr<InferenceGroup>& group,
                          std::vector<InferenceInput> inputs,
                          absl::Duration now) {
  const bool image = group->kind == InputKind::kImage;
  const int64_t waiting = image ? images_ : texts_;
  const int64_t limit =
      image ? options_.max_queued_images : options_.max_queued_texts;
  int64_t added_bytes = 0;
  for (const InferenceInput& input : inputs) added_bytes += input.size_bytes();
  if (const auto count = static_cast<int64_t>(inputs.size());
      (waiting > 0 && waiting + count > limit) ||
      (bytes_ > 0 && bytes_ + added_bytes > options_.max_queued_bytes)) {
    return WithRetryDelay(
        Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
              absl::StrCat("the inference queue is full (", depth(),
                           " inputs wait): try again, or add workers")),
        kRetryWhenFull);
  }
  std::deque<InferenceItem>& queue = queues_[KeyOf(*group)];
  int64_t index = 0;
  for (InferenceInput& input : inputs) {
    queue.push_back({.group = group,
                     .index = index++,
                     .input = std::move(input),
                     .enqueued = now});
    Count(queue.back(), 1);
  }
  return absl::OkStatus();
}

void Batcher::Requeue(std::vector<InferenceItem> items) {
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    std::deque<InferenceItem>& queue = queues_[KeyOf(*item->group)];
    queue.push_front(std::move(*item));
    Count(queue.front(), 1);
  }
}

void Batcher::Remove(const InferenceGroup& group) {
  const auto found = queues_.find(KeyOf(group));
  if (found == queues_.end()) return;
  std::deque<InferenceItem>& queue = found->second;
  std::erase_if(queue, [&](const InferenceItem& item) {
    if (item.group.get() != &group) return false;
    Count(item, -1);
    return true;
  });
  if (queue.empty()) queues_.erase(found);
}

bool Batcher::Ready(const Key& key, int preferred_batch_size,
                    absl::Duration now) const {
  const auto found = queues_.find(key);
  if (found == queues_.end()) return false;
  const std::deque<InferenceItem>& queue = found->second;
  return static_cast<int64_t>(queue.size()) >=
             BatchSize(key.kind, preferred_batch_size) ||
         now - queue.front().enqueued >= options_.max_delay;
}

InferenceBatch Batcher::Cut(const Key& key, int preferred_batch_size) {
  const auto found = queues_.find(key);
  std::deque<InferenceItem>& queue = found->second;
  InferenceBatch batch;
  batch.version = queue.front().group->version;
  batch.kind = key.kind;
  const int64_t size = BatchSize(key.kind, preferred_batch_size);
  int64_t bytes = 0;
  while (!queue.empty() && static_cast<int64_t>(batch.items.size()) < size) {
    bytes += queue.front().input.size_bytes();
    if (!batch.items.empty() && bytes > options_.max_batch_bytes) break;
    Count(queue.front(), -1);
    batch.items.push_back(std::move(queue.front()));
    ++batch.items.back().attempts;
    queue.pop_front();
  }
  if (queue.empty()) queues_.erase(found);
  return batch;
}

std::vector<std::pair<Batcher::Key, absl::Duration>> Batcher::Heads() const {
  std::vector<std::pair<Key, absl::Duration>> heads;
  for (const auto& [key, queue] : queues_) {
    heads.emplace_back(key, queue.front().enqueued);
  }
  return heads;
}

const std::shared_ptr<const ServedVersion>& Batcher::Version(
    const Key& key) const {
  return queues_.at(key).front().group->version;
}

int64_t Batcher::BatchSize(InputKind kind, int preferred_batch_size) const {
  return kind == InputKind::kText ? options_.text_batch_size
                                  : std::max(1, preferred_batch_size);
}

void Batcher::Count(const InferenceItem& item, int sign) {
  (item.group->kind == InputKind::kImage ? images_ : texts_) += sign;
  item.group->queued += sign;
  bytes_ += sign * item.input.size_bytes();
}

}  // namespace attune::core
