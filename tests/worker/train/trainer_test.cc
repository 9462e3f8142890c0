#include "worker/train/trainer.h"

#include <ATen/Functions.h>

#include <cmath>
#include <numeric>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"
#include "worker/model/init.h"

namespace attune::train {
namespace {

TEST(Trainer, OverfitsSixteenPairs) {
  const ClipConfig clip = *model::NamedConfig("tiny");
  RandomPixels pixels(clip.image_size);
  TrainConfig config = DpoConfig();
  config.objective = {"dpo", {{"beta", 1}, {"label_smoothing", 0}}};
  config.kl_weight = 0;
  config.schedule = {Schedule::Kind::kCosine, 1e-3, 0};
  config.batch_size = 16;
  config.steps = 60;
  auto trainer = *Trainer::Create(
      config, clip, model::RandomTensors(clip, 0),
      RandomData(clip, {.pairs = 16, .captions = 0, .clean = 0}), &pixels);
  StepMetrics metrics;
  while (trainer->step() < trainer->total_steps()) metrics = *trainer->Step();
  EXPECT_EQ(metrics.pair_accuracy, 1.0);
  EXPECT_LT(metrics.loss, 0.1);
}

TEST(Trainer, FirstStepStartsAtTheReference) {
  RandomRun run(DpoConfig());
  const StepMetrics metrics = run.Steps(1)[0];
  EXPECT_EQ(metrics.step, 1);
  EXPECT_NEAR(metrics.epoch, 1.0 / 3, 1e-15);
  EXPECT_NEAR(metrics.objective_loss, std::log(2), 1e-6);
  EXPECT_NEAR(*metrics.margin, 0, 1e-5);
  EXPECT_NEAR(*metrics.preferred_log_ratio, 0, 1e-5);
  EXPECT_NEAR(*metrics.rejected_log_ratio, 0, 1e-5);
  EXPECT_NEAR(*metrics.kl, 0, 1e-6);
  EXPECT_NEAR(metrics.logit_scale, 1 / 0.07, 1e-4);
}

TEST(Trainer, InfoNceLearnsItsCaptions) {
  TrainConfig config = InfoNceConfig();
  config.schedule.learning_rate = 1e-2;
  config.steps = 150;
  RandomRun run(config);
  const auto metrics = run.Steps(150);
  // Several positives leave the entropy of the targets, here below 1.
  EXPECT_GT(metrics.front().loss, 2);
  EXPECT_LT(metrics.back().loss, 1);
}

TEST(Trainer, AverageEqualsTheBetaWeightedMeanOfAllIterates) {
  TrainConfig config = DpoConfig();
  config.steps = 7;
  RandomRun run(config);
  std::map<std::string, at::Tensor> sums;
  double weights = 0;
  for (int k = 0; k <= 7; ++k) {
    if (k > 0) run.Steps(1);
    const double x = (k + 0.5) / 8;
    const double weight = std::pow(x * (1 - x), -0.3);
    weights += weight;
    const model::Tensors iterate = *run.trainer->LastWeights();
    for (const auto& [name, tensor] : iterate) {
      const at::Tensor term = tensor.detach().to(at::kDouble) * weight;
      sums[name] = sums[name].defined() ? sums[name] + term : term;
    }
  }
  model::Tensors expected;
  for (const auto& [name, sum] : sums) expected[name] = sum / weights;
  EXPECT_LT(MaxDifference(*run.trainer->AverageWeights(), expected), 1e-6);
  EXPECT_GT(MaxDifference(*run.trainer->LastWeights(), expected), 1e-4);
}

TEST(Trainer, FrozenScaleStaysAndSharesTheBasesStorage) {
  TrainConfig config = DpoConfig();
  config.freeze_logit_scale = true;
  RandomRun run(config);
  run.Steps(3);
  for (const auto& weights :
       {*run.trainer->LastWeights(), *run.trainer->AverageWeights()}) {
    EXPECT_EQ(weights.at("logit_scale").data_ptr(),
              run.base.at("logit_scale").data_ptr());
  }
  EXPECT_GT(MaxDifference(*run.trainer->LastWeights(), run.base), 1e-3);
}

TEST(Trainer, OutputsAreSnapshots) {
  RandomRun run(DpoConfig());
  run.Steps(1);
  const model::Tensors weights = *run.trainer->LastWeights();
  const at::Tensor before = weights.at("visual.proj").clone();
  run.Steps(1);
  EXPECT_TRUE(at::equal(weights.at("visual.proj"), before));
}

TEST(Trainer, EpochsGiveStepsWithoutTheShortLastBatch) {
  TrainConfig config = DpoConfig();
  config.steps.reset();
  config.epochs = 3;
  config.batch_size = 7;
  EXPECT_EQ(RandomRun(config).trainer->total_steps(), 9);
  config.epochs = 0;
  EXPECT_EQ(RandomRun(config).trainer->total_steps(), 0);
  config.epochs = 2;
  config.batch_size = 512;
  EXPECT_EQ(RandomRun(config).trainer->total_steps(), 2);
  EXPECT_EQ(RandomRun(config).trainer->batch_size(), 24);
}

TEST(Trainer, SaysWithinAStepThatItGetsOn) {
  TrainConfig config = DpoConfig();
  config.micro_batch_size = 1;
  RandomRun run(config);
  int pieces = 0;
  run.trainer->SetWorkListener([&pieces] { ++pieces; });
  run.Steps(1);
  // The texts, the images of each micro-batch, and the reference's.
  EXPECT_GT(pieces, 2 * run.trainer->batch_size());
  pieces = 0;
  run.Steps(1);
  EXPECT_GE(pieces, run.trainer->batch_size());
}

TEST(Trainer, StepAfterTheLastIsRefused) {
  TrainConfig config = DpoConfig();
  config.steps = 1;
  RandomRun run(config);
  run.Steps(1);
  const auto step = run.trainer->Step().status();
  EXPECT_EQ(step.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(step), "RUN_ENDED");
}

TEST(Trainer, DivergenceEndsWithNonFiniteLoss) {
  TrainConfig config = DpoConfig();
  config.schedule = {Schedule::Kind::kConstant, 1e30, 0};
  RandomRun run(config);
  absl::Status status;
  for (int i = 0; i < 5 && status.ok(); ++i) {
    status = run.trainer->Step().status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), "NON_FINITE_LOSS");
}

class BrokenPixels : public PixelSource {
 public:
  absl::StatusOr<at::Tensor> Pixels(absl::Span<const int64_t>) override {
    return Error(absl::StatusCode::kDataLoss, "CORRUPT_IMAGE",
                 "example 3 cannot be decoded");
  }
};

TEST(Trainer, ErrorOfThePixelSourceIsPassedOn) {
  const ClipConfig clip = SmallConfig();
  BrokenPixels pixels;
  auto trainer =
      *Trainer::Create(DpoConfig(), clip, model::RandomTensors(clip, 3),
                       RandomData(clip, {}), &pixels);
  const auto step = trainer->Step().status();
  EXPECT_EQ(step.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ErrorReason(step), "CORRUPT_IMAGE");
}

TEST(Trainer, PixelsOfAWrongSizeAreAnErrorNotAnException) {
  const ClipConfig clip = SmallConfig();
  RandomPixels pixels(clip.image_size + 1);
  auto trainer =
      *Trainer::Create(DpoConfig(), clip, model::RandomTensors(clip, 3),
                       RandomData(clip, {}), &pixels);
  const auto step = trainer->Step().status();
  EXPECT_EQ(step.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason(step), "TORCH_ERROR");
}

struct Refusal {
  const char* reason;
  void (*change)(TrainConfig&, TrainingData&);
};

class RefusedRun : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedRun, IsInvalidArgumentWithItsReason) {
  const ClipConfig clip = SmallConfig();
  RandomPixels pixels(clip.image_size);
  TrainConfig config = DpoConfig();
  TrainingData data = RandomData(clip, {});
  GetParam().change(config, data);
  const auto status =
      Trainer::Create(config, clip, model::RandomTensors(clip, 3), data,
                      &pixels)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    Reasons, RefusedRun,
    testing::Values(
        Refusal{"NO_TRAINING_EXAMPLES",
                [](TrainConfig&, TrainingData& data) { data.pairs.clear(); }},
        Refusal{"NO_TRAINING_EXAMPLES",
                [](TrainConfig& config, TrainingData& data) {
                  config = InfoNceConfig();
                  data.captions.clear();
                }},
        Refusal{"NO_CLEAN_EXAMPLES",
                [](TrainConfig&, TrainingData& data) {
                  data.clean_images.clear();
                }},
        Refusal{
            "NO_CANDIDATES",
            [](TrainConfig&, TrainingData& data) { data.candidates.clear(); }},
        Refusal{"TOO_MANY_CANDIDATES",
                [](TrainConfig&, TrainingData& data) {
                  data.texts.resize(1001, data.texts[0]);
                  data.candidates.resize(1001);
                  std::iota(data.candidates.begin(), data.candidates.end(), 0);
                }},
        Refusal{"NO_CLEAN_EXAMPLES",
                [](TrainConfig& config, TrainingData& data) {
                  config = KtoConfig();
                  config.kl_weight = 0;
                  data.clean_images.clear();
                }},
        Refusal{"NO_CANDIDATES",
                [](TrainConfig& config, TrainingData& data) {
                  config = CeConfig();
                  config.kl_weight = 0;
                  data.candidates.clear();
                }},
        Refusal{"NOT_A_CANDIDATE", [](TrainConfig& config,
                                      TrainingData&) { config = CeConfig(); }},
        Refusal{"UNKNOWN_OBJECTIVE",
                [](TrainConfig& config, TrainingData&) {
                  config.objective.name = "ppo";
                }},
        Refusal{"MISSING_OPTION",
                [](TrainConfig& config, TrainingData&) {
                  config.objective.options.clear();
                }},
        Refusal{"MICRO_BATCH_UNSUPPORTED",
                [](TrainConfig& config, TrainingData&) {
                  config = InfoNceConfig();
                  config.micro_batch_size = 2;
                }},
        Refusal{"INDEX_OUT_OF_RANGE",
                [](TrainConfig&, TrainingData& data) {
                  data.pairs[3].rejected = 9;
                }},
        Refusal{"INVALID_CONFIG", [](TrainConfig& config, TrainingData&) {
                  config.batch_size = 0;
                }}));

}  // namespace
}  // namespace attune::train
