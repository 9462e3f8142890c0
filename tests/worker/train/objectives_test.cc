// Runs of every objective: what they report equals the formulas on the models'
// embeddings, and they go where the formulas say.

#include <ATen/Functions.h>

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"

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

// log π over the candidates of every image [images][candidates].
std::vector<std::vector<double>> LogPolicy(const Embeddings& model,
                                           const TrainingData& data) {
  std::vector<std::vector<double>> rows;
  for (int64_t i = 0; i < model.images.size(0); ++i) {
    std::vector<double> row;
    double sum = 0;
    for (int64_t text : data.candidates) {
      row.push_back(model.scale * Dot(model.images[i], model.texts[text]));
      sum += std::exp(row.back());
    }
    for (double& value : row) value -= std::log(sum);
    rows.push_back(row);
  }
  return rows;
}

// What one step over all pairs and all clean images says, in double.
struct PlainStep {
  std::vector<double> log_preferred, a, b;
  double accuracy = 0, kl = 0;

  double Mean(const std::function<double(size_t)>& of_pair) const {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += of_pair(i);
    return sum / static_cast<double>(a.size());
  }
};

PlainStep Plain(RandomRun& run, const model::Tensors& weights) {
  std::vector<int64_t> images;
  for (const auto& pair : run.data.pairs) images.push_back(pair.image);
  images.insert(images.end(), run.data.clean_images.begin(),
                run.data.clean_images.end());
  const auto policy = LogPolicy(Embed(run, weights, images), run.data);
  const auto reference = LogPolicy(Embed(run, run.base, images), run.data);
  PlainStep step;
  const size_t pairs = run.data.pairs.size();
  for (size_t i = 0; i < pairs; ++i) {
    // Every text is a candidate, in order.
    const auto w = static_cast<size_t>(run.data.pairs[i].preferred);
    const auto l = static_cast<size_t>(run.data.pairs[i].rejected);
    step.log_preferred.push_back(policy[i][w]);
    step.a.push_back(policy[i][w] - reference[i][w]);
    step.b.push_back(policy[i][l] - reference[i][l]);
    step.accuracy += policy[i][w] > policy[i][l];
  }
  step.accuracy /= static_cast<double>(pairs);
  for (size_t i = pairs; i < images.size(); ++i) {
    for (size_t y = 0; y < policy[i].size(); ++y) {
      step.kl += std::exp(reference[i][y]) * (reference[i][y] - policy[i][y]);
    }
  }
  step.kl /= static_cast<double>(images.size() - pairs);
  return step;
}

struct Formula {
  std::string name;
  TrainConfig config;
  double (*loss)(const PlainStep& step, size_t pair);
};

class PairFormula : public testing::TestWithParam<Formula> {};

TEST_P(PairFormula, IsWhatARunReports) {
  TrainConfig config = GetParam().config;
  config.batch_size = 24;
  // The clean stream has 10 images: its batch is clipped to them. z must be
  // over all of them, whatever is computed at a time.
  config.micro_batch_size = 7;
  RandomRun run(config, {.texts_beside = 0});
  run.Steps(10);
  const model::Tensors weights = *run.trainer->LastWeights();
  const StepMetrics metrics = run.Steps(1)[0];
  const PlainStep plain = Plain(run, weights);

  const double loss =
      plain.Mean([&](size_t i) { return GetParam().loss(plain, i); });
  EXPECT_NEAR(metrics.objective_loss, loss, 2e-5);
  EXPECT_NEAR(*metrics.pair_accuracy, plain.accuracy, 1e-12);
  EXPECT_NEAR(*metrics.kl, plain.kl, 1e-5);
  EXPECT_DOUBLE_EQ(metrics.loss,
                   metrics.objective_loss + config.kl_weight * *metrics.kl);
  EXPECT_GT(*metrics.kl, 1e-4);
  if (config.objective.name == "ce") {
    EXPECT_FALSE(metrics.margin || metrics.preferred_log_ratio ||
                 metrics.rejected_log_ratio);
    return;
  }
  EXPECT_NEAR(*metrics.preferred_log_ratio,
              plain.Mean([&](size_t i) { return plain.a[i]; }), 2e-5);
  EXPECT_NEAR(*metrics.rejected_log_ratio,
              plain.Mean([&](size_t i) { return plain.b[i]; }), 2e-5);
  EXPECT_NEAR(*metrics.margin,
              plain.Mean([&](size_t i) { return plain.a[i] - plain.b[i]; }),
              2e-5);
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

INSTANTIATE_TEST_SUITE_P(
    Objectives, PairFormula,
    testing::Values(
        Formula{"Dpo", DpoConfig(),
                [](const PlainStep& step, size_t i) {
                  const double h = step.a[i] - step.b[i];
                  return 0.95 * std::log1p(std::exp(-h)) +
                         0.05 * std::log1p(std::exp(h));
                }},
        Formula{"Ipo", IpoConfig(),
                [](const PlainStep& step, size_t i) {
                  return std::pow(step.a[i] - step.b[i] - 1, 2);
                }},
        Formula{"Kto", KtoConfig(),
                [](const PlainStep& step, size_t i) {
                  return (1.2 * (1 - Sigmoid(1.5 * (step.a[i] - step.kl))) +
                          0.8 * (1 - Sigmoid(1.5 * (step.kl - step.b[i])))) /
                         2;
                }},
        Formula{"Ce", CeConfig(),
                [](const PlainStep& step, size_t i) {
                  return -step.log_preferred[i];
                }}),
    [](const auto& info) { return info.param.name; });

TEST(Run, OfInfoNceReportsTheFormulaOnTheEmbeddings) {
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

// With λ = 0 and no weight on either text nothing is left but z.
TEST(Run, OfKtoTakesNoGradientThroughZ) {
  TrainConfig config = KtoConfig();
  config.kl_weight = 0;
  config.objective.options["desirable_weight"] = 0;
  config.objective.options["undesirable_weight"] = 0;
  config.micro_batch_size = 3;
  RandomRun run(config, {.texts_beside = 0});
  const auto metrics = run.Steps(3);
  EXPECT_TRUE(metrics[2].kl.has_value());
  EXPECT_EQ(metrics[2].gradient_norm, 0);
  EXPECT_EQ(MaxDifference(*run.trainer->LastWeights(), run.base), 0);
}

TEST(Run, OfIpoConvergesToItsTargetMargin) {
  TrainConfig config = IpoConfig();
  config.kl_weight = 0;
  config.batch_size = 24;
  config.steps = 300;
  config.schedule.learning_rate = 3e-3;
  for (const double beta : {0.5, 0.25}) {
    config.objective.options["beta"] = beta;
    RandomRun run(config);
    const StepMetrics last = run.Steps(300).back();
    EXPECT_NEAR(*last.margin, 1 / (2 * beta), 0.01);
    EXPECT_LT(last.objective_loss, 1e-3);
  }
}

TEST(Run, OfSmoothedDpoConvergesToItsClosedForm) {
  TrainConfig config = DpoConfig();
  config.kl_weight = 0;
  config.batch_size = 24;
  config.steps = 300;
  config.schedule.learning_rate = 3e-3;
  for (const auto& [beta, smoothing] : {std::pair{1.0, 0.1}, {2.0, 0.2}}) {
    config.objective.options = {{"beta", beta}, {"label_smoothing", smoothing}};
    RandomRun run(config);
    const StepMetrics last = run.Steps(300).back();
    EXPECT_NEAR(*last.margin, std::log((1 - smoothing) / smoothing) / beta,
                0.05);
    // The least loss is the entropy of the smoothed label.
    EXPECT_NEAR(last.objective_loss,
                -(1 - smoothing) * std::log(1 - smoothing) -
                    smoothing * std::log(smoothing),
                1e-3);
  }
}

}  // namespace
}  // namespace attune::train
