#include "worker/train/schedule.h"

#include <cmath>

#include "gtest/gtest.h"

namespace attune::train {
namespace {

constexpr double kPi = 3.14159265358979323846;

TEST(Schedule, CosineFallsFromThePeakToNearZero) {
  const Schedule schedule = {Schedule::Kind::kCosine, 2e-5, 0};
  for (int step = 0; step < 10; ++step) {
    EXPECT_NEAR(LearningRate(schedule, step, 10),
                2e-5 * (1 + std::cos(kPi * step / 10)) / 2, 1e-18);
  }
}

TEST(Schedule, WarmupRisesLinearlyThenTheCosineTakesTheRest) {
  const Schedule schedule = {Schedule::Kind::kCosine, 1, 0.2};
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0, 20), 0.25);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 20), 0.5);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 3, 20), 1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 4, 20), 1);
  EXPECT_NEAR(LearningRate(schedule, 12, 20), 0.5, 1e-15);
  EXPECT_NEAR(LearningRate(schedule, 19, 20), (1 + std::cos(kPi * 15 / 16)) / 2,
              1e-15);
}

TEST(Schedule, ConstantStaysAtThePeakAfterTheWarmup) {
  const Schedule schedule = {Schedule::Kind::kConstant, 3, 0.5};
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0, 4), 1.5);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 4), 3);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 3, 4), 3);
}

}  // namespace
}  // namespace attune::train
