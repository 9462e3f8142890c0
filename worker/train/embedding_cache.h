// Embeddings, or other rows, that do not change during a run, computed when
// they are first needed.

#ifndef ATTUNE_WORKER_TRAIN_EMBEDDING_CACHE_H_
#define ATTUNE_WORKER_TRAIN_EMBEDDING_CACHE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace attune::train {

// Rows of entries: rows [n, …] has one of each.
struct EmbeddingRows {
  std::vector<int64_t> entries;
  // Undefined when there are no entries.
  at::Tensor rows;
};

// Entries are computed in fixed groups, whichever of a group is asked for
// first: the last bits of an embedding depend on its place in a batch, and a
// resumed run, which starts with an empty cache, must get the same ones.
// Grouping entries in the order of their first use makes a run compute no
// more than it needs. Not thread-safe.
class EmbeddingCache {
 public:
  // Rows [n, …] of n entries, without gradient.
  using Compute = std::function<absl::StatusOr<at::Tensor>(
      absl::Span<const int64_t> entries)>;

  // `order`: the entries that can be asked for, distinct, from 0 up.
  // Only the first `kept` entries, rounded down to whole groups, are kept; the
  // others are computed at each call that asks for them, together.
  // `known`: rows that need no computing, kept whatever `kept` is; entries
  // that are not in `order` are left out. The groups are made of the others.
  // REQUIRES: group_size > 0; distinct known entries, rows of the form and on
  // the device of those that `compute` gives.
  EmbeddingCache(std::vector<int64_t> order, int64_t group_size,
                 Compute compute,
                 int64_t kept = std::numeric_limits<int64_t>::max(),
                 const EmbeddingRows& known = {});

  // Rows [n, …] of the entries; errors are those of `compute`.
  // REQUIRES: n > 0; every entry is in `order`.
  absl::StatusOr<at::Tensor> Rows(absl::Span<const int64_t> entries);

  // What was computed and kept, without what was known.
  EmbeddingRows Computed() const;

 private:
  absl::Status ComputeGroup(int64_t group);

  int64_t GroupOf(int64_t place) const {
    return (place - known_count_) / group_size_;
  }

  // Known entries first.
  std::vector<int64_t> order_;
  int64_t known_count_ = 0;
  int64_t group_size_;
  Compute compute_;
  // Known entries included.
  int64_t kept_ = 0;
  // Of each entry, its place in order_; −1 for none.
  std::vector<int64_t> places_;
  std::vector<bool> group_known_;
  // [kept_, …] by place; undefined before the first call.
  at::Tensor rows_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_EMBEDDING_CACHE_H_
