// An interrupted run and an uninterrupted one have the same bits.

#include <ATen/Functions.h>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"

namespace attune::train {
namespace {

void ExpectSameBits(const model::Tensors& a, const model::Tensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
  }
}

struct Case {
  TrainConfig config;
  int64_t stop;
};

// Every text is a candidate, as KTO needs it.
constexpr TaskSize kSize = {.twins = 5, .texts_beside = 0};

TrainConfig InfoNceWithKl() {
  TrainConfig config = InfoNceConfig();
  config.kl_weight = 0.3;
  config.average = true;
  return config;
}

TrainConfig MicroBatches() {
  TrainConfig config = DpoConfig();
  config.micro_batch_size = 3;
  return config;
}

TrainConfig KtoInMicroBatches() {
  TrainConfig config = KtoConfig();
  config.micro_batch_size = 3;
  config.clean_batch_size = 4;
  return config;
}

class ResumedRun : public testing::TestWithParam<Case> {};

TEST_P(ResumedRun, IsBitwiseEqualToAnUninterruptedOne) {
  const auto& [config, stop] = GetParam();
  RandomRun whole(config, kSize);
  const auto curve = whole.Steps(20);

  RandomRun first(config, kSize);
  first.Steps(stop);
  const TrainerState state = *first.trainer->SaveState();
  first.Steps(1);

  RandomRun second(config, kSize);
  ASSERT_TRUE(second.trainer->Restore(state).ok());
  EXPECT_EQ(second.trainer->step(), stop);
  const auto rest = second.Steps(20 - stop);
  EXPECT_EQ(rest, std::vector<StepMetrics>(curve.begin() + stop, curve.end()));
  ExpectSameBits(*second.trainer->LastWeights(), *whole.trainer->LastWeights());
  const TrainerState end = *second.trainer->SaveState();
  const TrainerState whole_end = *whole.trainer->SaveState();
  ExpectSameBits(end.tensors, whole_end.tensors);
  EXPECT_EQ(end.json, whole_end.json);
}

INSTANTIATE_TEST_SUITE_P(
    Runs, ResumedRun,
    testing::Values(Case{DpoConfig(), 7}, Case{DpoConfig(), 19},
                    Case{MicroBatches(), 4}, Case{KtoInMicroBatches(), 9},
                    Case{IpoConfig(), 3}, Case{InfoNceConfig(), 5},
                    Case{InfoNceWithKl(), 11}));

TEST(SaveState, HasStableNames) {
  RandomRun run(DpoConfig());
  run.Steps(1);
  const TrainerState state = *run.trainer->SaveState();
  EXPECT_EQ(state.tensors.size(), 4 * run.base.size());
  for (const char* name :
       {"weights/visual.proj", "average/visual.proj", "adamax_m/visual.proj",
        "adamax_u/visual.proj", "weights/logit_scale"}) {
    EXPECT_TRUE(state.tensors.contains(name)) << name;
  }
  RandomRun other(InfoNceConfig());
  const TrainerState without_average = *other.trainer->SaveState();
  EXPECT_EQ(without_average.tensors.size(), 3 * run.base.size());
  EXPECT_TRUE(without_average.tensors.contains("adamw_v/visual.proj"));
}

TEST(SaveState, IsASnapshot) {
  RandomRun run(DpoConfig());
  const TrainerState state = *run.trainer->SaveState();
  run.Steps(2);
  EXPECT_TRUE(at::equal(state.tensors.at("weights/visual.proj"),
                        run.base.at("visual.proj")));
}

TEST(Restore, StateOfAnotherRunIsRefused) {
  RandomRun run(DpoConfig());
  TrainConfig config = DpoConfig();
  config.seed = 6;
  RandomRun other(config);
  const auto status = run.trainer->Restore(*other.trainer->SaveState());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), "CHECKPOINT_MISMATCH");
}

// Restores a state whose format is changed by `difference`.
absl::Status RestoreOtherFormat(int difference) {
  RandomRun run(DpoConfig());
  TrainerState state = *run.trainer->SaveState();
  nlohmann::json json = nlohmann::json::parse(state.json);
  json["format"] = json["format"].get<int>() + difference;
  state.json = json.dump();
  return run.trainer->Restore(state);
}

TEST(Restore, StateOfAnotherFormatIsRefused) {
  const absl::Status newer = RestoreOtherFormat(1);
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(newer), "CHECKPOINT_MISMATCH");
  const absl::Status older = RestoreOtherFormat(-1);
  EXPECT_EQ(older.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(older), "CHECKPOINT_OUTDATED");
}

class DamagedState : public testing::TestWithParam<void (*)(TrainerState&)> {};

TEST_P(DamagedState, IsDataLoss) {
  RandomRun run(DpoConfig());
  TrainerState state = *run.trainer->SaveState();
  GetParam()(state);
  const auto status = run.trainer->Restore(state);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ErrorReason(status), "INVALID_CHECKPOINT");
}

INSTANTIATE_TEST_SUITE_P(
    Damages, DamagedState,
    testing::Values(
        +[](TrainerState& state) { state.json = "{"; },
        +[](TrainerState& state) { state.json = "[]"; },
        +[](TrainerState& state) {
          nlohmann::json json = nlohmann::json::parse(state.json);
          json["format"] = "new";
          state.json = json.dump();
        },
        +[](TrainerState& state) {
          nlohmann::json json = nlohmann::json::parse(state.json);
          json["step"] = 21;
          state.json = json.dump();
        },
        +[](TrainerState& state) {
          state.tensors.erase("adamax_u/visual.proj");
        },
        +[](TrainerState& state) {
          state.tensors["average/visual.proj"] = at::zeros({2, 2});
        }));

}  // namespace
}  // namespace attune::train
