#include "worker/train/streams.h"

#include <algorithm>
#include <variant>

#include "absl/types/span.h"

namespace attune::train {
namespace {

// Of the data order; the clean stream has 1.
constexpr uint64_t kTrainingStream = 0;
// Enough for full speed.
constexpr int64_t kImageGroup = 64;

bool HasPairs(const objective::Objective& objective) {
  return std::holds_alternative<objective::PairObjective>(objective);
}

// The first `count` of what is left.
absl::Span<const int64_t> Take(absl::Span<const int64_t>& rest, int64_t count) {
  const absl::Span<const int64_t> taken =
      rest.subspan(0, static_cast<size_t>(count));
  rest.remove_prefix(taken.size());
  return taken;
}

// Of the clean stream, and with `training_stream` of the other.
std::vector<int64_t> Images(const TrainConfig& config,
                            const objective::Objective& objective,
                            const TrainingData& data, bool training_stream) {
  const DataOrder order = TrainingOrder(config, objective, data);
  const std::vector<int64_t> examples = order.FirstEpoch();
  const std::optional<CleanStream> stream =
      MakeCleanStream(config, objective, data);
  const std::vector<int64_t> clean =
      stream ? stream->FirstUse(examples) : std::vector<int64_t>();
  absl::Span<const int64_t> examples_left, clean_left = clean;
  if (training_stream) examples_left = examples;
  Columns images;
  // A step takes some of each stream.
  while (!examples_left.empty() || !clean_left.empty()) {
    for (int64_t example : Take(examples_left, order.batch_size())) {
      images.Of(HasPairs(objective) ? data.pairs[example].image
                                    : data.captions[example].image);
    }
    for (int64_t entry : Take(clean_left, order.batch_size())) {
      images.Of(stream->images()[entry]);
    }
  }
  return std::move(images).Values();
}

}  // namespace

DataOrder TrainingOrder(const TrainConfig& config,
                        const objective::Objective& objective,
                        const TrainingData& data) {
  const size_t count =
      HasPairs(objective) ? data.pairs.size() : data.captions.size();
  return DataOrder(config.seed, kTrainingStream, static_cast<int64_t>(count),
                   config.batch_size);
}

std::optional<CleanStream> MakeCleanStream(
    const TrainConfig& config, const objective::Objective& objective,
    const TrainingData& data) {
  const auto* pair = std::get_if<objective::PairObjective>(&objective);
  const bool uses_z = pair != nullptr && pair->uses_clean_kl;
  if (config.kl_weight == 0 && !uses_z) return std::nullopt;
  return CleanStream(config, data);
}

std::vector<int64_t> ImagesByFirstUse(const TrainConfig& config,
                                      const objective::Objective& objective,
                                      const TrainingData& data) {
  return Images(config, objective, data, /*training_stream=*/true);
}

std::vector<int64_t> ReferenceImagesByFirstUse(
    const TrainConfig& config, const objective::Objective& objective,
    const TrainingData& data) {
  const auto* pair = std::get_if<objective::PairObjective>(&objective);
  return Images(config, objective, data,
                pair != nullptr && pair->uses_reference);
}

std::vector<int64_t> TextsByFirstUse(const TrainConfig& config,
                                     const objective::Objective& objective,
                                     const TrainingData& data) {
  Columns texts;
  const auto* pair = std::get_if<objective::PairObjective>(&objective);
  if (MakeCleanStream(config, objective, data).has_value() ||
      (pair != nullptr && pair->over_candidates)) {
    for (int64_t text : data.candidates) texts.Of(text);
  }
  for (int64_t example : TrainingOrder(config, objective, data).FirstEpoch()) {
    if (pair != nullptr) {
      texts.Of(data.pairs[example].preferred);
      texts.Of(data.pairs[example].rejected);
    } else {
      texts.Of(data.captions[example].caption);
    }
  }
  return std::move(texts).Values();
}

int64_t ImageGroup(const TrainConfig& config) {
  const int64_t at_a_time =
      config.micro_batch_size > 0 ? config.micro_batch_size : config.batch_size;
  return std::min(at_a_time, kImageGroup);
}

}  // namespace attune::train
