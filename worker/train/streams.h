// What a run goes through, and in which order: its two streams, and the images
// and texts in them.

#ifndef ATTUNE_WORKER_TRAIN_STREAMS_H_
#define ATTUNE_WORKER_TRAIN_STREAMS_H_

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "worker/objective/objective.h"
#include "worker/train/clean_stream.h"
#include "worker/train/data_order.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

namespace attune::train {

// The training stream: entries of `pairs` or `captions`.
DataOrder TrainingOrder(const TrainConfig& config,
                        const objective::Objective& objective,
                        const TrainingData& data);

// The clean stream; nothing where neither KL nor objective needs it.
std::optional<CleanStream> MakeCleanStream(
    const TrainConfig& config, const objective::Objective& objective,
    const TrainingData& data);

// The distinct images and texts of a run in about the order of their first
// use.
std::vector<int64_t> ImagesByFirstUse(const TrainConfig& config,
                                      const objective::Objective& objective,
                                      const TrainingData& data);
// Those images that the reference sees: where the objective does without it,
// the clean ones.
std::vector<int64_t> ReferenceImagesByFirstUse(
    const TrainConfig& config, const objective::Objective& objective,
    const TrainingData& data);
std::vector<int64_t> TextsByFirstUse(const TrainConfig& config,
                                     const objective::Objective& objective,
                                     const TrainingData& data);

// Images that are computed at a time where no gradient is wanted.
int64_t ImageGroup(const TrainConfig& config);

// Numbers indices in the order in which they come.
class Columns {
 public:
  int64_t Of(int64_t index) {
    const auto [place, added] =
        columns_.try_emplace(index, static_cast<int64_t>(values_.size()));
    if (added) values_.push_back(index);
    return place->second;
  }
  // The indices by their number.
  std::vector<int64_t> Values() && { return std::move(values_); }

 private:
  std::vector<int64_t> values_;
  std::unordered_map<int64_t, int64_t> columns_;
};

}  // namespace attune::train

#endif  // ATTUNE_WORKER_TRAIN_STREAMS_H_
