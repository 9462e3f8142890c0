#include "server/core/inference/text_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace attune::core {
namespace {

// A list node, a hash slot and two allocations, about.
constexpr int64_t kEntryOverheadBytes = 160;

}  // namespace

std::string TextCache::Key(absl::string_view version_digest,
                           absl::Span<const int32_t> tokens) {
  return absl::StrCat(
      version_digest,
      absl::string_view(reinterpret_cast<const char*>(tokens.data()),
                        tokens.size() * sizeof(int32_t)));
}

bool TextCache::Lookup(absl::string_view key, std::vector<float>* values) {
  absl::MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return false;
  entries_.splice(entries_.begin(), entries_, found->second);
  const std::vector<float>& embedding = found->second->embedding;
  values->insert(values->end(), embedding.begin(), embedding.end());
  return true;
}

void TextCache::Insert(absl::string_view key,
                       absl::Span<const float> embedding) {
  Entry entry{std::string(key), {embedding.begin(), embedding.end()}};
  const int64_t size = SizeOf(entry);
  absl::MutexLock lock(&mutex_);
  if (size > capacity_bytes_ || by_key_.contains(key)) return;
  while (size_bytes_ + size > capacity_bytes_) {
    size_bytes_ -= SizeOf(entries_.back());
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  size_bytes_ += size;
  entries_.push_front(std::move(entry));
  by_key_.emplace(entries_.front().key, entries_.begin());
}

int64_t TextCache::size_bytes() const {
  absl::MutexLock lock(&mutex_);
  return size_bytes_;
}

int64_t TextCache::SizeOf(const Entry& entry) {
  return static_cast<int64_t>(entry.key.size() +
                              entry.embedding.size() * sizeof(float)) +
         kEntryOverheadBytes;
}

}  // namespace attune::core
