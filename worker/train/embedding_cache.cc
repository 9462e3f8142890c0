#include "worker/train/embedding_cache.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

#include "common/status_macros.h"

namespace attune::train {
namespace {

// [count, …] with the shape of `like`'s rows.
std::vector<int64_t> RowShape(int64_t count, const at::Tensor& like) {
  std::vector<int64_t> shape = like.sizes().vec();
  shape[0] = count;
  return shape;
}

at::Tensor Pick(const at::Tensor& rows, const std::vector<int64_t>& places) {
  return rows.index_select(0, at::tensor(places, at::kLong).to(rows.device()));
}

}  // namespace

EmbeddingCache::EmbeddingCache(std::vector<int64_t> order, int64_t group_size,
                               Compute compute, int64_t kept)
    : order_(std::move(order)),
      group_size_(group_size),
      compute_(std::move(compute)),
      kept_(kept >= static_cast<int64_t>(order_.size())
                ? static_cast<int64_t>(order_.size())
                : kept / group_size * group_size),
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
  std::vector<int64_t> places, passing;
  places.reserve(entries.size());
  for (int64_t entry : entries) {
    const int64_t place = places_[entry];
    if (place >= kept_) {
      // Behind the kept rows, in the order of this call.
      places.push_back(kept_ + static_cast<int64_t>(passing.size()));
      passing.push_back(entry);
      continue;
    }
    places.push_back(place);
    const int64_t group = place / group_size_;
    if (group_known_[group]) continue;
    ATTUNE_RETURN_IF_ERROR(ComputeGroup(group));
  }
  if (passing.empty()) return Pick(rows_, places);
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor passed, compute_(passing));
  if (passing.size() == entries.size()) return passed;
  // Kept rows are copied once, into their places among the others.
  at::Tensor rows =
      passed.new_empty(RowShape(static_cast<int64_t>(entries.size()), passed));
  for (size_t i = 0; i < places.size(); ++i) {
    const auto to = rows[static_cast<int64_t>(i)];
    to.copy_(places[i] < kept_ ? rows_[places[i]] : passed[places[i] - kept_]);
  }
  return rows;
}

absl::Status EmbeddingCache::ComputeGroup(int64_t group) {
  const int64_t begin = group * group_size_;
  const auto members = absl::MakeConstSpan(order_).subspan(
      begin, static_cast<size_t>(group_size_));
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor computed, compute_(members));
  if (!rows_.defined()) rows_ = computed.new_empty(RowShape(kept_, computed));
  rows_.narrow(0, begin, computed.size(0)).copy_(computed);
  group_known_[group] = true;
  return absl::OkStatus();
}

void EmbeddingCache::Forget() {
  std::fill(group_known_.begin(), group_known_.end(), false);
}

}  // namespace attune::train
