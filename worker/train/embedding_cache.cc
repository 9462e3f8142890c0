#include "worker/train/embedding_cache.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace attune::train {

EmbeddingCache::EmbeddingCache(std::vector<int64_t> order, int64_t group_size,
                               Compute compute)
    : order_(std::move(order)),
      group_size_(group_size),
      compute_(std::move(compute)),
      group_known_((order_.size() + group_size - 1) / group_size) {
  for (size_t place = 0; place < order_.size(); ++place) {
    const size_t entry = order_[place];
    if (entry >= places_.size()) places_.resize(entry + 1, -1);
    places_[entry] = static_cast<int64_t>(place);
  }
}

absl::StatusOr<at::Tensor> EmbeddingCache::Rows(
    absl::Span<const int64_t> entries) {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> places;
  places.reserve(entries.size());
  for (int64_t entry : entries) {
    const int64_t place = places_[entry];
    const int64_t group = place / group_size_;
    places.push_back(place);
    if (group_known_[group]) continue;
    const int64_t begin = group * group_size_;
    const auto members = absl::MakeConstSpan(order_).subspan(
        begin, static_cast<size_t>(group_size_));
    ATTUNE_ASSIGN_OR_RETURN(const at::Tensor embeddings, compute_(members));
    if (!rows_.defined()) {
      rows_ =
          at::empty({static_cast<int64_t>(order_.size()), embeddings.size(1)},
                    embeddings.options());
    }
    rows_.narrow(0, begin, embeddings.size(0)).copy_(embeddings);
    group_known_[group] = true;
  }
  return rows_.index_select(0,
                            at::tensor(places, at::kLong).to(rows_.device()));
}

void EmbeddingCache::Forget() {
  std::fill(group_known_.begin(), group_known_.end(), false);
}

}  // namespace attune::train
