#include "tests/worker/train/random_task.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <random>

#include "gtest/gtest.h"
#include "worker/model/init.h"

namespace attune::train {

absl::StatusOr<at::Tensor> RandomPixels::Pixels(
    absl::Span<const int64_t> images) {
  at::Tensor pixels = at::empty(
      {static_cast<int64_t>(images.size()), side_, side_, 3}, at::kByte);
  given_ += static_cast<int64_t>(images.size());
  uint8_t* out = pixels.data_ptr<uint8_t>();
  for (int64_t image : images) {
    std::mt19937 generator(static_cast<unsigned>(image + 1));
    for (int64_t i = 0; i < side_ * side_ * 3; ++i) {
      *out++ = static_cast<uint8_t>(generator() >> 24);
    }
  }
  return pixels;
}

ClipConfig SmallConfig() {
  ClipConfig config;
  config.image_size = 16;
  config.patch_size = 8;
  config.vision_width = 16;
  config.vision_layers = 2;
  config.vision_heads = 2;
  config.text_width = 16;
  config.text_layers = 2;
  config.text_heads = 2;
  config.context_length = 8;
  config.vocabulary_size = 40;
  config.embedding_size = 8;
  return config;
}

TrainingData RandomData(const ClipConfig& clip, const TaskSize& size) {
  std::mt19937 generator(11);
  const auto below = [&](int bound) {
    return static_cast<int>(generator() % static_cast<unsigned>(bound));
  };
  TrainingData data;
  const int32_t start = clip.vocabulary_size - 2;
  for (int text = 0; text < size.texts; ++text) {
    std::vector<int32_t> row = {start, 1, 2, 3 + text};
    if (text % 3 == 0) row.push_back(20);
    row.push_back(start + 1);
    data.texts.push_back(row);
    if (text < size.texts - size.texts_beside) data.candidates.push_back(text);
  }
  int64_t image = 0;
  for (int pair = 0; pair < size.pairs; ++pair) {
    const int preferred = below(size.texts);
    const int rejected = (preferred + 1 + below(size.texts - 1)) % size.texts;
    data.pairs.push_back({image++, preferred, rejected});
  }
  for (int caption = 0; caption < size.captions; ++caption) {
    const int text = below(size.texts);
    const std::string name = "class " + std::to_string(text);
    data.captions.push_back(
        {image++, text, {{"class", name}}, {{"class", name}}});
  }
  for (int clean = 0; clean < size.clean; ++clean) {
    data.clean_images.push_back(image++);
  }
  for (int pair = 0; size.twins > 0 && pair < size.pairs; pair += 2) {
    data.pairs[pair].clean_image = image + pair / 2 % size.twins;
  }
  return data;
}

TrainConfig DpoConfig() {
  TrainConfig config;
  config.objective = {"dpo", {{"beta", 1}, {"label_smoothing", 0.05}}};
  config.kl_weight = 0.5;
  config.optimizer = OptimizerOptions::Adamax();
  config.schedule = {Schedule::Kind::kCosine, 2e-3, 0.1};
  config.steps = 20;
  config.batch_size = 8;
  config.seed = 5;
  return config;
}

TrainConfig IpoConfig() {
  TrainConfig config = DpoConfig();
  config.objective = {"ipo", {{"beta", 0.5}}};
  return config;
}

TrainConfig KtoConfig() {
  TrainConfig config = DpoConfig();
  config.objective = {
      "kto",
      {{"beta", 1.5}, {"desirable_weight", 1.2}, {"undesirable_weight", 0.8}}};
  return config;
}

TrainConfig CeConfig() {
  TrainConfig config = DpoConfig();
  config.objective = {"ce", {}};
  return config;
}

TrainConfig InfoNceConfig() {
  TrainConfig config = DpoConfig();
  config.objective = {"infonce", {}};
  config.kl_weight = 0;
  config.optimizer = OptimizerOptions::Adamw();
  config.average = false;
  return config;
}

RandomRun::RandomRun(const TrainConfig& config, const TaskSize& size)
    : clip(SmallConfig()),
      pixels(clip.image_size),
      base(model::RandomTensors(clip, 3)),
      data(RandomData(clip, size)) {
  auto made = Trainer::Create(config, clip, base, data, &pixels);
  EXPECT_TRUE(made.ok()) << made.status();
  trainer = std::move(made).value();
}

std::vector<StepMetrics> RandomRun::Steps(int64_t count) {
  std::vector<StepMetrics> metrics;
  for (int64_t i = 0; i < count; ++i) {
    const auto step = trainer->Step();
    EXPECT_TRUE(step.ok()) << step.status();
    metrics.push_back(step.value());
  }
  return metrics;
}

double MaxDifference(const model::Tensors& a, const model::Tensors& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (const auto& [name, tensor] : a) {
    most = std::max(most, (tensor - b.at(name)).abs().max().item<double>());
  }
  return most;
}

}  // namespace attune::train
