#ifndef ATTUNE_SERVER_CORE_INFERENCE_TEXT_CACHE_H_
#define ATTUNE_SERVER_CORE_INFERENCE_TEXT_CACHE_H_

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"

namespace attune::core {

// Embeddings of texts, so that the same prompts are computed once a version.
// When it is full, what was used least recently goes. Thread-safe; never
// blocks for long.
class TextCache {
 public:
  // What embeds to what: the version's digest and the text's tokens.
  static std::string Key(absl::string_view version_digest,
                         absl::Span<const int32_t> tokens);

  // `capacity_bytes` bounds keys, embeddings and their bookkeeping.
  explicit TextCache(int64_t capacity_bytes)
      : capacity_bytes_(capacity_bytes) {}

  // Appends the embedding to `*values` when it is there.
  bool Lookup(absl::string_view key, std::vector<float>* values);

  void Insert(absl::string_view key, absl::Span<const float> embedding);

  int64_t size_bytes() const;

 private:
  struct Entry {
    std::string key;
    std::vector<float> embedding;
  };
  static int64_t SizeOf(const Entry& entry);

  const int64_t capacity_bytes_;
  mutable absl::Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // newest use first
  // Into entries_; the keys are the entries'.
  absl::flat_hash_map<absl::string_view, std::list<Entry>::iterator> by_key_
      ABSL_GUARDED_BY(mutex_);
  int64_t size_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_TEXT_CACHE_H_
