#include "worker/train/embedding_cache.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <utility>

#include "common/status_macros.h"
#include "worker/model/upload.h"

namespace attune::train {
namespace {

// [count, …] with the shape of `like`'s rows.
std::vector<int64_t> RowShape(int64_t count, const at::Tensor& like) {
  std::vector<int64_t> shape = like.sizes().vec();
  shape[0] = count;
  return shape;
}

at::Tensor Pick(const at::Tensor& rows, const std::vector<int64_t>& places) {
  return rows.index_select(
      0, model::Upload(at::tensor(places, at::kLong), rows.device()));
}

}  // namespace

EmbeddingCache::EmbeddingCache(std::vector<int64_t> order, int64_t group_size,
                               Compute compute, int64_t kept,
                               const EmbeddingRows& known)
    : order_(std::move(order)),
      group_size_(group_size),
      compute_(std::move(compute)) {
  for (int64_t entry : order_) {
    if (entry >= static_cast<int64_t>(places_.size())) {
      places_.resize(static_cast<size_t>(entry) + 1, -1);
    }
    places_[entry] = 0;
  }
  std::vector<int64_t> all, known_rows;
  for (size_t i = 0; i < known.entries.size(); ++i) {
    const int64_t entry = known.entries[i];
    if (entry >= static_cast<int64_t>(places_.size()) || places_[entry] < 0) {
      continue;
    }
    places_[entry] = 1;
    all.push_back(entry);
    known_rows.push_back(static_cast<int64_t>(i));
  }
  known_count_ = static_cast<int64_t>(all.size());
  for (int64_t entry : order_) {
    if (places_[entry] == 0) all.push_back(entry);
  }
  order_ = std::move(all);
  for (size_t place = 0; place < order_.size(); ++place) {
    places_[order_[place]] = static_cast<int64_t>(place);
  }
  const int64_t unknown = static_cast<int64_t>(order_.size()) - known_count_;
  kept_ = known_count_ +
          (kept >= unknown ? unknown : kept / group_size * group_size);
  group_known_.resize((unknown + group_size - 1) / group_size);
  if (known_count_ > 0) {
    rows_ = known.rows.new_empty(RowShape(kept_, known.rows));
    rows_.narrow(0, 0, known_count_).copy_(Pick(known.rows, known_rows));
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
    if (place < known_count_ || group_known_[GroupOf(place)]) continue;
    ATTUNE_RETURN_IF_ERROR(ComputeGroup(GroupOf(place)));
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
  const int64_t begin = known_count_ + group * group_size_;
  const auto members = absl::MakeConstSpan(order_).subspan(
      begin, static_cast<size_t>(group_size_));
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor computed, compute_(members));
  if (!rows_.defined()) rows_ = computed.new_empty(RowShape(kept_, computed));
  rows_.narrow(0, begin, computed.size(0)).copy_(computed);
  group_known_[group] = true;
  return absl::OkStatus();
}

EmbeddingRows EmbeddingCache::Computed() const {
  EmbeddingRows computed;
  std::vector<int64_t> places;
  for (int64_t place = known_count_; place < kept_; ++place) {
    if (!group_known_[GroupOf(place)]) continue;
    places.push_back(place);
    computed.entries.push_back(order_[place]);
  }
  if (!places.empty()) computed.rows = Pick(rows_, places);
  return computed;
}

}  // namespace attune::train
