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

// Embeddings of a model for given images and all texts of a run, in double.
struct Embeddings {
  at::Tensor images;
  at::Tensor texts;
  double scale;
};

Embeddings Embed(RandomRun& run, const model::Tensors& tensors,
                 const std::vector<int64_t>& images) {
  const at::NoGradGuard no_grad;
  const auto batch = *model::SeparateTexts(run.data.texts, run.clip);
  return {model::Normalised(model::EncodeImages(run.clip, tensors,
                                                *run.pixels.Pixels(images)))
              .to(at::kDouble),
          model::Normalised(model::EncodeTexts(run.clip, tensors, batch))
              .to(at::kDouble),
          std::exp(tensors.at("logit_scale").item<double>())};
}

double Dot(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum().item<double>();
}

TEST(Trainer, OverfitsSixteenPairs) {
  const ClipConfig clip = *model::NamedConfig("tiny");
  RandomPixels pixels(clip.image_size);
  TrainConfig config = DpoConfig();
  config.objective = DpoObjective{{}, 0};
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

TEST(Trainer, DpoMetricsEqualTheFormulasOnTheEmbeddings) {
  TrainConfig config = DpoConfig();
  config.batch_size = 24;
  RandomRun run(config);
  run.Steps(10);
  const model::Tensors weights = *run.trainer->LastWeights();
  const StepMetrics metrics = run.Steps(1)[0];

  std::vector<int64_t> images;
  for (const auto& pair : run.data.pairs) images.push_back(pair.image);
  images.insert(images.end(), run.data.clean_images.begin(),
                run.data.clean_images.end());
  const Embeddings policy = Embed(run, weights, images);
  const Embeddings reference = Embed(run, run.base, images);
  double margin = 0, correct = 0, loss = 0, kl = 0;
  const auto logit = [](const Embeddings& e, int64_t image, int64_t text) {
    return e.scale * Dot(e.images[image], e.texts[text]);
  };
  for (size_t i = 0; i < run.data.pairs.size(); ++i) {
    const PairExample& pair = run.data.pairs[i];
    const double gap =
        logit(policy, i, pair.preferred) - logit(policy, i, pair.rejected);
    const double h = gap - (logit(reference, i, pair.preferred) -
                            logit(reference, i, pair.rejected));
    margin += h;
    correct += gap > 0;
    loss += 0.95 * std::log1p(std::exp(-h)) + 0.05 * std::log1p(std::exp(h));
  }
  const int64_t pairs = static_cast<int64_t>(run.data.pairs.size());
  const int64_t clean = static_cast<int64_t>(run.data.clean_images.size());
  for (int64_t i = pairs; i < pairs + clean; ++i) {
    double policy_sum = 0, reference_sum = 0;
    for (int64_t text : run.data.candidates) {
      policy_sum += std::exp(logit(policy, i, text));
      reference_sum += std::exp(logit(reference, i, text));
    }
    for (int64_t text : run.data.candidates) {
      const double log_p = logit(reference, i, text) - std::log(reference_sum);
      const double log_q = logit(policy, i, text) - std::log(policy_sum);
      kl += std::exp(log_p) * (log_p - log_q);
    }
  }
  // The clean stream has 10 images: its batch of 24 is clipped to them.
  ASSERT_EQ(clean, 10);
  EXPECT_NEAR(*metrics.margin, margin / pairs, 2e-5);
  EXPECT_NEAR(*metrics.pair_accuracy, correct / pairs, 1e-12);
  EXPECT_NEAR(metrics.objective_loss, loss / pairs, 1e-5);
  EXPECT_NEAR(*metrics.kl, kl / clean, 1e-5);
  EXPECT_DOUBLE_EQ(metrics.loss, metrics.objective_loss + 0.5 * *metrics.kl);
  EXPECT_NEAR(*metrics.preferred_log_ratio - *metrics.rejected_log_ratio,
              *metrics.margin, 1e-5);
  EXPECT_GT(*metrics.kl, 1e-4);
}

TEST(Trainer, InfoNceLossEqualsTheFormulaOnTheEmbeddings) {
  TrainConfig config = InfoNceConfig();
  config.batch_size = 24;
  RandomRun run(config);
  run.Steps(5);
  const model::Tensors weights = *run.trainer->LastWeights();
  const StepMetrics metrics = run.Steps(1)[0];

  std::vector<int64_t> images;
  for (const auto& example : run.data.captions) {
    images.push_back(example.image);
  }
  const Embeddings policy = Embed(run, weights, images);
  const int count = 24;
  double loss = 0;
  const auto logit = [&](int image, int caption) {
    return policy.scale * Dot(policy.images[image],
                              policy.texts[run.data.captions[caption].caption]);
  };
  for (int i = 0; i < count; ++i) {
    double row = 0, column = 0, targets = 0;
    for (int j = 0; j < count; ++j) {
      row += std::exp(logit(i, j));
      column += std::exp(logit(j, i));
      targets += run.data.captions[i].caption == run.data.captions[j].caption;
    }
    for (int j = 0; j < count; ++j) {
      if (run.data.captions[i].caption != run.data.captions[j].caption) {
        continue;
      }
      loss -= (logit(i, j) - std::log(row) + logit(j, i) - std::log(column)) /
              targets / 2;
    }
  }
  EXPECT_NEAR(metrics.loss, loss / count, 2e-5);
  EXPECT_FALSE(metrics.kl.has_value());
  EXPECT_FALSE(metrics.margin.has_value());
  EXPECT_FALSE(metrics.pair_accuracy.has_value());
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
