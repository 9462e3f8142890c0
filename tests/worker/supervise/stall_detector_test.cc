#include "worker/supervise/stall_detector.h"

#include "gtest/gtest.h"

namespace attune::supervise {
namespace {

Progress Step(int64_t step) { return {.step = step, .total_steps = 100}; }

TEST(StallDetectorTest, ATaskMaySayNothingForTheShortestTime) {
  const StallDetector detector({}, absl::Seconds(1'000));
  EXPECT_FALSE(detector.Stalled(absl::Seconds(1'299)));
  EXPECT_TRUE(detector.Stalled(absl::Seconds(1'300)));
}

TEST(StallDetectorTest, EveryReportCounts) {
  StallDetector detector({}, absl::ZeroDuration());
  detector.Progressed(Step(0), absl::Seconds(200));
  detector.Progressed(Step(0), absl::Seconds(400));
  EXPECT_FALSE(detector.Stalled(absl::Seconds(699)));
  EXPECT_TRUE(detector.Stalled(absl::Seconds(700)));
}

TEST(StallDetectorTest, LongStepsMayTakeTwentyTimesTheMedian) {
  StallDetector detector({}, absl::ZeroDuration());
  absl::Duration now = absl::Seconds(50);
  detector.Progressed(Step(0), now);
  // 30, 30, 30, 900 and 30 s: the outlier does not count.
  for (const int step : {1, 2, 3}) {
    now += absl::Seconds(30);
    detector.Progressed(Step(step), now);
  }
  now += absl::Seconds(900);
  detector.Progressed(Step(4), now);
  now += absl::Seconds(30);
  detector.Progressed(Step(5), now);
  EXPECT_EQ(detector.Limit(), absl::Seconds(600));
  EXPECT_FALSE(detector.Stalled(now + absl::Seconds(599)));
  EXPECT_TRUE(detector.Stalled(now + absl::Seconds(600)));
}

TEST(StallDetectorTest, StepsThatWereReportedTogetherShareTheTime) {
  StallDetector detector({.shortest = absl::Seconds(1), .steps = 20},
                         absl::ZeroDuration());
  detector.Progressed(Step(10), absl::Seconds(5));
  detector.Progressed(Step(15), absl::Seconds(15));
  EXPECT_EQ(detector.Limit(), absl::Seconds(40));
  // Another count begins at 0.
  detector.Progressed(Step(0), absl::Seconds(16));
  EXPECT_EQ(detector.Limit(), absl::Seconds(40));
}

}  // namespace
}  // namespace attune::supervise
