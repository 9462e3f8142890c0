// Runs that differ only in how they are computed give the same curve.

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"

namespace attune::train {
namespace {

constexpr int kSteps = 20;

// Rounding grows along a run; the curves themselves move by tenths.
void ExpectSameCurve(const std::vector<StepMetrics>& a,
                     const std::vector<StepMetrics>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_NEAR(a[i].loss, b[i].loss, 2e-4);
    EXPECT_EQ(a[i].kl.has_value(), b[i].kl.has_value());
    EXPECT_NEAR(a[i].kl.value_or(0), b[i].kl.value_or(0), 2e-4);
    EXPECT_NEAR(a[i].margin.value_or(0), b[i].margin.value_or(0), 1e-3);
    EXPECT_NEAR(a[i].gradient_norm, b[i].gradient_norm,
                1e-3 * a[i].gradient_norm);
  }
}

struct Variant {
  std::string name;
  std::function<void(TrainConfig&)> change;
};

class EquivalentDpoRun : public testing::TestWithParam<Variant> {};

TEST_P(EquivalentDpoRun, HasTheSameCurve) {
  RandomRun run(DpoConfig());
  TrainConfig config = DpoConfig();
  GetParam().change(config);
  RandomRun changed(config);
  const auto curve = run.Steps(kSteps);
  ExpectSameCurve(curve, changed.Steps(kSteps));
  EXPECT_GT(std::abs(curve.back().margin.value()), 0.1);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, EquivalentDpoRun,
    testing::Values(
        Variant{"EightMicroBatchesOfOne",
                [](TrainConfig& c) { c.micro_batch_size = 1; }},
        Variant{"MicroBatchesThatDoNotDivide",
                [](TrainConfig& c) { c.micro_batch_size = 3; }},
        Variant{"ReferenceOnline",
                [](TrainConfig& c) { c.savings.cache_reference = false; }},
        Variant{"TextsOnceAMicroBatch",
                [](TrainConfig& c) {
                  c.micro_batch_size = 2;
                  c.savings.texts_once = false;
                }},
        Variant{"PromptsApart",
                [](TrainConfig& c) { c.savings.share_prefixes = false; }},
        Variant{"WholeLastBlock",
                [](TrainConfig& c) { c.savings.readout_only = false; }},
        Variant{"StockQuickGelu",
                [](TrainConfig& c) { c.savings.fused_quick_gelu = false; }},
        Variant{"PatchesByConvolution",
                [](TrainConfig& c) { c.savings.patches_as_product = false; }},
        Variant{"StockOptimizer",
                [](TrainConfig& c) { c.savings.fused_optimizer = false; }}),
    [](const auto& info) { return info.param.name; });

struct PairRun {
  std::string name;
  TrainConfig (*config)();
  double kl_weight;
};

// Puts `run` into the state of another that is computed in another way.
void Follow(const RandomRun& other, RandomRun& run) {
  TrainerState state = *other.trainer->SaveState();
  nlohmann::json json = nlohmann::json::parse(run.trainer->SaveState()->json);
  json["step"] = other.trainer->step();
  state.json = json.dump();
  const absl::Status status = run.trainer->Restore(state);
  ASSERT_TRUE(status.ok()) << status;
}

// The gradient of the step before, times 1 − β1, out of the first moments:
// m ← β1 m + (1 − β1) g.
model::Tensors Moments(const RandomRun& run) {
  model::Tensors moments;
  const absl::StatusOr<TrainerState> state = run.trainer->SaveState();
  for (const auto& [name, tensor] : state->tensors) {
    if (absl::StartsWith(name, "adamax_m/")) moments[name] = tensor;
  }
  return moments;
}

// ‖a − b‖ over all tensors.
double Distance(const model::Tensors& a, const model::Tensors& b) {
  double squares = 0;
  for (const auto& [name, tensor] : a) {
    squares += (tensor - b.at(name)).square().sum().item<double>();
  }
  return std::sqrt(squares);
}

class EquivalentPairRun
    : public testing::TestWithParam<std::tuple<PairRun, Variant>> {};

// From the same state, at every step of a run. (Each on its own, runs move
// apart: where a gradient is nothing but rounding, Adamax makes a step of full
// length of it, which a square loss such as IPO's shows after some steps.)
TEST_P(EquivalentPairRun, HasTheSameGradientAtEveryStep) {
  const auto& [run, variant] = GetParam();
  TrainConfig config = run.config();
  config.kl_weight = run.kl_weight;
  const TaskSize size = {.twins = 5, .texts_beside = 0};
  config.clean_batch_size = 3;
  RandomRun plain(config, size);
  variant.change(config);
  RandomRun changed(config, size);
  std::vector<StepMetrics> curve;
  for (int step = 0; step < kSteps; ++step) {
    SCOPED_TRACE(step);
    Follow(plain, changed);
    const model::Tensors before = Moments(plain);
    const StepMetrics a = plain.Steps(1)[0], b = changed.Steps(1)[0];
    EXPECT_NEAR(a.loss, b.loss, 1e-5 * std::max(1.0, std::abs(a.loss)));
    EXPECT_EQ(a.kl.has_value(), b.kl.has_value());
    EXPECT_NEAR(a.kl.value_or(0), b.kl.value_or(0), 1e-5);
    EXPECT_NEAR(a.margin.value_or(0), b.margin.value_or(0), 1e-5);
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-5 * a.gradient_norm);
    const double share = 1 - config.optimizer.beta1;
    EXPECT_LE(Distance(Moments(plain), Moments(changed)),
              1e-5 * share * a.gradient_norm);
    EXPECT_GT(Distance(Moments(plain), before), 1e-3 * share * a.gradient_norm);
    curve.push_back(a);
  }
  EXPECT_GT(std::abs(curve.back().loss - curve.front().loss), 0.01);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, EquivalentPairRun,
    testing::Combine(
        testing::Values(PairRun{"Ipo", IpoConfig, 0.5},
                        PairRun{"Kto", KtoConfig, 0.5},
                        PairRun{"KtoWithoutKl", KtoConfig, 0},
                        PairRun{"Ce", CeConfig, 0.5},
                        PairRun{"CeWithoutKl", CeConfig, 0}),
        testing::Values(Variant{"EightMicroBatchesOfOne",
                                [](TrainConfig& c) { c.micro_batch_size = 1; }},
                        Variant{"MicroBatchesThatDoNotDivide",
                                [](TrainConfig& c) { c.micro_batch_size = 3; }},
                        Variant{"ReferenceOnline",
                                [](TrainConfig& c) {
                                  c.savings.cache_reference = false;
                                }},
                        Variant{"TextsOnceAMicroBatch",
                                [](TrainConfig& c) {
                                  c.micro_batch_size = 2;
                                  c.savings.texts_once = false;
                                }})),
    [](const auto& info) {
      return std::get<0>(info.param).name + std::get<1>(info.param).name;
    });

class EquivalentInfoNceRun : public testing::TestWithParam<Variant> {};

TEST_P(EquivalentInfoNceRun, HasTheSameCurve) {
  RandomRun run(InfoNceConfig());
  TrainConfig config = InfoNceConfig();
  GetParam().change(config);
  RandomRun changed(config);
  ExpectSameCurve(run.Steps(kSteps), changed.Steps(kSteps));
}

INSTANTIATE_TEST_SUITE_P(
    Ways, EquivalentInfoNceRun,
    testing::Values(
        Variant{"TextsWithinTheGraph",
                [](TrainConfig& c) { c.savings.texts_once = false; }},
        Variant{"PromptsApart",
                [](TrainConfig& c) { c.savings.share_prefixes = false; }},
        Variant{"WholeLastBlock",
                [](TrainConfig& c) { c.savings.readout_only = false; }},
        Variant{"StockOptimizer",
                [](TrainConfig& c) { c.savings.fused_optimizer = false; }}),
    [](const auto& info) { return info.param.name; });

struct PartVariant {
  std::string name;
  TrainedPart part;
  std::function<void(TrainConfig&)> change;
};

// Each part with each of its savings off.
std::vector<PartVariant> PartVariants() {
  using Kind = TrainedPart::Kind;
  const std::vector<std::pair<std::string, TrainedPart>> parts = {
      {"Image", {.kind = Kind::kImageTower}},
      {"Text", {.kind = Kind::kTextTower}},
      {"Last1", {.kind = Kind::kLastBlocks, .last_blocks = 1}},
      {"Last2", {.kind = Kind::kLastBlocks, .last_blocks = 2}}};
  std::vector<PartVariant> variants;
  for (const auto& [name, part] : parts) {
    const auto add = [&](const std::string& what,
                         std::function<void(TrainConfig&)> change) {
      variants.push_back({name + what, part, std::move(change)});
    };
    add("FrozenComputedAnew",
        [](TrainConfig& c) { c.savings.cache_frozen = false; });
    add("FrozenCopied", [](TrainConfig& c) { c.savings.share_frozen = false; });
    add("ReferenceOnline",
        [](TrainConfig& c) { c.savings.cache_reference = false; });
    add("PromptsApart",
        [](TrainConfig& c) { c.savings.share_prefixes = false; });
    add("MicroBatchesWithTextsEach", [](TrainConfig& c) {
      c.micro_batch_size = 3;
      c.savings.texts_once = false;
    });
  }
  return variants;
}

class EquivalentPartialRun : public testing::TestWithParam<PartVariant> {};

TEST_P(EquivalentPartialRun, HasTheSameCurve) {
  for (const TrainConfig& whole : {DpoConfig(), InfoNceConfig()}) {
    TrainConfig config = whole;
    config.trained_part = GetParam().part;
    RandomRun run(config);
    GetParam().change(config);
    if (config.objective.name == "infonce") config.micro_batch_size = 0;
    RandomRun changed(config);
    const auto curve = run.Steps(kSteps);
    ExpectSameCurve(curve, changed.Steps(kSteps));
    EXPECT_GT(std::abs(curve.back().loss - curve.front().loss), 0.01);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, EquivalentPartialRun,
                         testing::ValuesIn(PartVariants()),
                         [](const auto& info) { return info.param.name; });

TEST(EquivalentRun, WithoutKlOnlyTheBatchsTextsMatter) {
  TrainConfig config = DpoConfig();
  config.kl_weight = 0;
  RandomRun few(config);
  RandomRun many(config);
  many.data.texts.resize(30, many.data.texts[0]);
  many.data.candidates.push_back(29);
  many.trainer =
      *Trainer::Create(config, many.clip, many.base, many.data, &many.pixels);
  EXPECT_EQ(few.Steps(5), many.Steps(5));
}

}  // namespace
}  // namespace attune::train
