// A small model and random data that every test of a run uses.

#ifndef ATTUNE_TESTS_WORKER_TRAIN_RANDOM_TASK_H_
#define ATTUNE_TESTS_WORKER_TRAIN_RANDOM_TASK_H_

#include <cstdint>
#include <vector>

#include "worker/train/trainer.h"

namespace attune::train {

// Pictures of random pixels, each a function of its index.
class RandomPixels : public PixelSource {
 public:
  explicit RandomPixels(int64_t side) : side_(side) {}

  // Images given so far.
  int64_t given() const { return given_; }

  absl::StatusOr<at::Tensor> Pixels(absl::Span<const int64_t> images) override;

 private:
  int64_t side_;
  int64_t given_ = 0;
};

// 16 pixels, 2 + 2 layers, about 10,000 parameters.
ClipConfig SmallConfig();

struct TaskSize {
  int pairs = 24;
  int captions = 24;
  int clean = 10;
  // Every other pair has one of so many clean twins.
  int twins = 0;
  int texts = 9;
  // Texts that pairs name but that are no candidates.
  int texts_beside = 1;
};

// Texts that begin alike, pairs and captions drawn from them.
TrainingData RandomData(const ClipConfig& clip, const TaskSize& size);

// DPO with KL and average, batches of 8, a rate that moves the small model.
TrainConfig DpoConfig();
// The same with another objective on pairs. KTO and CE need texts_beside = 0.
TrainConfig IpoConfig();
TrainConfig KtoConfig();
TrainConfig CeConfig();
// InfoNCE with AdamW, batches of 8, without average.
TrainConfig InfoNceConfig();

// A trainer of SmallConfig() over RandomTensors and RandomData.
struct RandomRun {
  explicit RandomRun(const TrainConfig& config, const TaskSize& size = {});

  // Does `count` steps.
  std::vector<StepMetrics> Steps(int64_t count);

  ClipConfig clip;
  RandomPixels pixels;
  model::Tensors base;
  TrainingData data;
  std::unique_ptr<Trainer> trainer;
};

// Largest difference of two models' tensors.
double MaxDifference(const model::Tensors& a, const model::Tensors& b);

}  // namespace attune::train

#endif  // ATTUNE_TESTS_WORKER_TRAIN_RANDOM_TASK_H_
