// A run in bf16 follows the one in fp32.

#include <ATen/autocast_mode.h>

#include <cmath>

#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"

namespace attune::train {
namespace {

constexpr int kSteps = 20;

// bf16 has 8 bits of mantissa, 0.4 %; losses are about 0.7, margins to 1.
constexpr double kLossTolerance = 0.02;
constexpr double kMarginTolerance = 0.1;

std::vector<StepMetrics> Curve(TrainConfig config, bool bf16) {
  config.bf16 = bf16;
  return RandomRun(config).Steps(kSteps);
}

TEST(Bf16Run, StaysWithinTheToleranceOfFp32) {
  for (const TrainedPart part :
       {TrainedPart{}, TrainedPart{.kind = TrainedPart::Kind::kLastBlocks,
                       .last_blocks = 1}}) {
    TrainConfig config = DpoConfig();
    config.trained_part = part;
    const auto exact = Curve(config, false), rounded = Curve(config, true);
    double most = 0;
    for (int i = 0; i < kSteps; ++i) {
      SCOPED_TRACE(i);
      EXPECT_NEAR(rounded[i].loss, exact[i].loss, kLossTolerance);
      EXPECT_NEAR(*rounded[i].margin, *exact[i].margin, kMarginTolerance);
      most = std::max(most, std::abs(rounded[i].loss - exact[i].loss));
    }
    // It did compute otherwise, and the curves move by more than that.
    EXPECT_GT(most, 1e-6);
    EXPECT_GT(exact.front().loss - exact.back().loss, 2 * kLossTolerance);
  }
}

TEST(Bf16Run, KeepsEverythingThatIsStoredInFp32) {
  TrainConfig config = DpoConfig();
  config.bf16 = true;
  RandomRun run(config);
  run.Steps(2);
  const absl::StatusOr<TrainerState> state = run.trainer->SaveState();
  ASSERT_TRUE(state.ok()) << state.status();
  for (const auto& [name, tensor] : state->tensors) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
  }
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST(Bf16Run, ResumesWithTheSameBits) {
  TrainConfig config = DpoConfig();
  config.bf16 = true;
  RandomRun whole(config);
  const auto curve = whole.Steps(8);
  RandomRun first(config), second(config);
  first.Steps(3);
  ASSERT_TRUE(second.trainer->Restore(*first.trainer->SaveState()).ok());
  EXPECT_EQ(second.Steps(5),
            std::vector<StepMetrics>(curve.begin() + 3, curve.end()));
}

}  // namespace
}  // namespace attune::train
