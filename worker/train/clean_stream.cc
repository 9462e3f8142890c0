#include "worker/train/clean_stream.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace attune::train {
namespace {

// Of the data order; the training stream has 0.
constexpr uint64_t kStream = 1;

bool HasTwin(const PairExample& pair) { return pair.clean_image >= 0; }

// Keeps the first of equal entries.
std::vector<int64_t> Distinct(const std::vector<int64_t>& entries) {
  std::vector<int64_t> distinct;
  std::unordered_set<int64_t> seen;
  for (int64_t entry : entries) {
    if (seen.insert(entry).second) distinct.push_back(entry);
  }
  return distinct;
}

}  // namespace

bool HasCleanImages(const TrainingData& data) {
  return !data.clean_images.empty() ||
         std::any_of(data.pairs.begin(), data.pairs.end(), HasTwin);
}

CleanStream::CleanStream(const TrainConfig& config, const TrainingData& data)
    : images_(data.clean_images) {
  int64_t streamed = static_cast<int64_t>(images_.size());
  std::unordered_map<int64_t, int64_t> entries;
  for (int64_t entry = 0; entry < streamed; ++entry) {
    entries.try_emplace(images_[entry], entry);
  }
  for (const PairExample& pair : data.pairs) {
    if (!HasTwin(pair)) {
      twins_.push_back(-1);
      continue;
    }
    const auto [place, added] = entries.try_emplace(
        pair.clean_image, static_cast<int64_t>(images_.size()));
    if (added) images_.push_back(pair.clean_image);
    twins_.push_back(place->second);
  }
  if (streamed == 0 &&
      !std::all_of(data.pairs.begin(), data.pairs.end(), HasTwin)) {
    twins_.clear();
    streamed = static_cast<int64_t>(images_.size());
  }
  if (streamed > 0) {
    order_.emplace(config.seed, kStream, streamed,
                   config.clean_batch_size.value_or(config.batch_size));
  }
}

void CleanStream::AddTwins(absl::Span<const int64_t> examples,
                           std::vector<int64_t>* entries) const {
  if (twins_.empty()) return;
  for (int64_t pair : examples) {
    if (twins_[pair] >= 0) entries->push_back(twins_[pair]);
  }
}

std::vector<int64_t> CleanStream::Batch(int64_t step,
                                        absl::Span<const int64_t> examples) {
  std::vector<int64_t> entries;
  AddTwins(examples, &entries);
  if (order_) {
    const absl::Span<const int64_t> streamed = order_->Batch(step);
    entries.insert(entries.end(), streamed.begin(), streamed.end());
  }
  return Distinct(entries);
}

std::vector<int64_t> CleanStream::FirstUse(
    absl::Span<const int64_t> examples) const {
  std::vector<int64_t> entries;
  if (order_) entries = order_->FirstEpoch();
  AddTwins(examples, &entries);
  return Distinct(entries);
}

}  // namespace attune::train
