// Runs that train a linear head on top of frozen towers.

#include <ATen/Functions.h>

#include <cmath>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"
#include "worker/model/linear_head.h"

namespace attune::train {
namespace {

TrainConfig HeadConfig(TrainConfig config = DpoConfig()) {
  config.trained_part.kind = TrainedPart::Kind::kHead;
  config.head.penalty = 0.1;
  config.schedule.learning_rate = 1e-2;
  return config;
}

// Every text is a candidate, and some pairs have twins.
constexpr TaskSize kSize = {.twins = 5, .texts_beside = 0};

// Embeddings of all texts, and of the pairs' images, in double.
std::pair<at::Tensor, at::Tensor> Embeddings(RandomRun& run) {
  std::vector<int64_t> images;
  for (const PairExample& pair : run.data.pairs) images.push_back(pair.image);
  const auto batch = *model::SeparateTexts(run.data.texts, run.clip);
  return {model::Normalised(model::EncodeImages(run.clip, run.base,
                                                *run.pixels.Pixels(images))),
          model::Normalised(model::EncodeTexts(run.clip, run.base, batch))};
}

at::Tensor CurrentW(RandomRun& run) {
  return run.trainer->SaveState()->tensors.at("weights/head.weight");
}

TEST(HeadPenalty, EqualsTheFormulaAndHasAGradientAtTheIdentity) {
  const at::Tensor w =
      at::tensor({1.0, 2.0, 0.5, -1.0}, at::kDouble).reshape({2, 2});
  // I − W Wᵀ = [[1 − 5, 1.5], [1.5, 1 − 1.25]].
  EXPECT_NEAR(model::HeadPenalty(w).item<double>(),
              std::sqrt(16 + 2 * 2.25 + 0.0625), 1e-9);
  at::Tensor identity = at::eye(4, at::kDouble).set_requires_grad(true);
  model::HeadPenalty(identity).backward();
  EXPECT_TRUE(at::equal(identity.grad(), at::zeros({4, 4}, at::kDouble)));
}

TEST(HeadRun, StartsAtTheReference) {
  RandomRun run(HeadConfig(), kSize);
  const StepMetrics metrics = run.Steps(1)[0];
  EXPECT_NEAR(metrics.objective_loss, std::log(2), 1e-6);
  EXPECT_NEAR(*metrics.margin, 0, 1e-5);
  EXPECT_NEAR(*metrics.kl, 0, 1e-6);
  EXPECT_TRUE(std::isfinite(metrics.gradient_norm));
  EXPECT_GT(metrics.gradient_norm, 0);
}

// Where nothing pulls at W it stays the identity, and so the base.
TEST(HeadRun, DoesNotDecay) {
  TrainConfig config = HeadConfig();
  config.optimizer = OptimizerOptions::Adamw(/*weight_decay=*/0.5);
  RandomRun decaying(config, kSize);
  config.optimizer = OptimizerOptions::Adamw(/*weight_decay=*/0);
  RandomRun plain(config, kSize);
  decaying.Steps(3);
  plain.Steps(3);
  EXPECT_TRUE(at::equal(CurrentW(decaying), CurrentW(plain)));
}

TEST(HeadRun, TrainsNothingButW) {
  RandomRun run(HeadConfig(), kSize);
  run.Steps(5);
  for (const auto& weights :
       {*run.trainer->LastWeights(), *run.trainer->AverageWeights()}) {
    EXPECT_EQ(weights.size(), run.base.size() + 2);
    for (const auto& [name, tensor] : run.base) {
      EXPECT_EQ(weights.at(name).data_ptr(), tensor.data_ptr()) << name;
    }
    EXPECT_EQ(weights.at(kHeadDirections).sizes(),
              (std::vector<int64_t>{8, 8}));
    EXPECT_EQ(weights.at(kHeadSingularValues).sizes(),
              (std::vector<int64_t>{8}));
  }
  // A checkpoint of W alone: weights, average and two moments.
  EXPECT_EQ(run.trainer->SaveState()->tensors.size(), 4u);
}

TEST(HeadRun, ReportsTheFormulaWithBothSidesTransformed) {
  TrainConfig config = HeadConfig();
  config.batch_size = 24;
  config.kl_weight = 0;
  RandomRun run(config, kSize);
  run.Steps(10);
  const at::Tensor w = CurrentW(run).to(at::kDouble);
  const StepMetrics metrics = run.Steps(1)[0];
  const auto [images, texts] = Embeddings(run);
  const double s = std::exp(run.base.at("logit_scale").item<double>());
  const at::Tensor f = images.to(at::kDouble), g = texts.to(at::kDouble);
  const at::Tensor policy =
      s * at::matmul(at::matmul(f, w.t()), at::matmul(g, w.t()).t());
  const at::Tensor reference = s * at::matmul(f, g.t());
  double margin = 0, loss = 0;
  for (size_t i = 0; i < run.data.pairs.size(); ++i) {
    const auto at = [&](const at::Tensor& logits, int64_t text) {
      return logits[static_cast<int64_t>(i)][text].item<double>();
    };
    const PairExample& pair = run.data.pairs[i];
    const double h = at(policy, pair.preferred) - at(policy, pair.rejected) -
                     at(reference, pair.preferred) +
                     at(reference, pair.rejected);
    margin += h / 24;
    loss +=
        (0.95 * std::log1p(std::exp(-h)) + 0.05 * std::log1p(std::exp(h))) / 24;
  }
  EXPECT_NEAR(*metrics.margin, margin, 2e-5);
  EXPECT_NEAR(metrics.objective_loss, loss, 1e-5);
  const double penalty =
      0.1 * std::sqrt((at::eye(8, at::kDouble) - at::matmul(w, w.t()))
                          .square()
                          .sum()
                          .item<double>());
  EXPECT_NEAR(metrics.loss, metrics.objective_loss + penalty, 1e-5);
  EXPECT_GT(penalty, 1e-3);
}

TEST(HeadRun, FactorsGiveTheTrainedSimilarityAtOneAndTheBasesAtZero) {
  RandomRun run(HeadConfig(), kSize);
  run.Steps(15);
  const at::Tensor w = CurrentW(run);
  const model::Tensors weights = *run.trainer->LastWeights();
  const auto [images, texts] = Embeddings(run);
  const auto similarity = [&](double t) {
    return at::matmul(model::ApplyHead(weights, images, t),
                      model::ApplyHead(weights, texts, t).t());
  };
  const auto gap = [](const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>();
  };
  const at::Tensor base = at::matmul(images, texts.t());
  const at::Tensor trained =
      at::matmul(at::matmul(images, w.t()), at::matmul(texts, w.t()).t());
  EXPECT_EQ(gap(similarity(0), base), 0);
  EXPECT_LT(gap(similarity(1), trained), 1e-5);
  EXPECT_GT(gap(trained, base), 1e-3);
  // V is orthogonal, so that small t are near the base.
  EXPECT_LT(gap(similarity(1e-6), base), 1e-5);
  const at::Tensor v = weights.at(kHeadDirections);
  EXPECT_LT(gap(at::matmul(v, v.t()), at::eye(8)), 1e-6);
}

TEST(WithFactors, FloorsSingularValues) {
  model::Tensors tensors = {
      {model::kHeadWeight, at::diag(at::tensor({2.0f, 1e-7f, 0.5f}))}};
  const model::Tensors factors = model::WithFactors(tensors);
  EXPECT_FALSE(factors.contains(model::kHeadWeight));
  EXPECT_TRUE(at::allclose(factors.at(kHeadSingularValues),
                           at::tensor({2.0f, 0.5f, 1e-3f})));
}

TEST(ApplyHead, WithoutAHeadChangesNothing) {
  const at::Tensor rows = at::ones({2, 3});
  EXPECT_TRUE(at::equal(model::ApplyHead({}, rows, 1), rows));
}

class HeadObjective : public testing::TestWithParam<TrainConfig> {};

TEST_P(HeadObjective, LowersItsLossAndResumesBitwise) {
  TrainConfig config = HeadConfig(GetParam());
  config.steps = 20;
  RandomRun whole(config, kSize);
  const auto curve = whole.Steps(20);
  EXPECT_LT(curve.back().objective_loss, curve.front().objective_loss);
  RandomRun first(config, kSize);
  first.Steps(8);
  RandomRun second(config, kSize);
  ASSERT_TRUE(second.trainer->Restore(*first.trainer->SaveState()).ok());
  const auto rest = second.Steps(12);
  EXPECT_EQ(rest, std::vector<StepMetrics>(curve.begin() + 8, curve.end()));
  EXPECT_EQ(MaxDifference(*second.trainer->LastWeights(),
                          *whole.trainer->LastWeights()),
            0);
}

INSTANTIATE_TEST_SUITE_P(All, HeadObjective,
                         testing::Values(DpoConfig(), IpoConfig(), KtoConfig(),
                                         CeConfig(), InfoNceConfig()));

// Counts what is asked for.
class CountedPixels : public RandomPixels {
 public:
  using RandomPixels::RandomPixels;
  absl::StatusOr<at::Tensor> Pixels(absl::Span<const int64_t> images) override {
    count += images.size();
    return RandomPixels::Pixels(images);
  }
  size_t count = 0;
};

TEST(HeadRun, FirstStepEncodesLittleMoreThanItsOwnImages) {
  for (const TrainConfig& objective : {DpoConfig(), InfoNceConfig()}) {
    const TrainConfig config = HeadConfig(objective);
    const RandomRun small(config, kSize);
    // The examples of a step are spread over all of these.
    const TrainingData data = RandomData(
        small.clip,
        {.pairs = 1'000, .captions = 1'000, .clean = 1'000, .texts_beside = 0});
    CountedPixels pixels(small.clip.image_size);
    const auto trainer =
        Trainer::Create(config, small.clip, small.base, data, &pixels);
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    ASSERT_TRUE((*trainer)->Step().ok());
    EXPECT_GE(pixels.count, 8u);
    // Whole groups of 64.
    EXPECT_LE(pixels.count, 128u);
  }
}

TEST(HeadRun, MicroBatchIsRefused) {
  TrainConfig config = HeadConfig();
  config.micro_batch_size = 4;
  const ClipConfig clip = SmallConfig();
  RandomPixels pixels(clip.image_size);
  const RandomRun run(DpoConfig());
  const absl::Status status =
      Trainer::Create(config, clip, run.base, run.data, &pixels).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "MICRO_BATCH_UNSUPPORTED");
}

}  // namespace
}  // namespace attune::train
