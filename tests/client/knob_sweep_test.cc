#include "client/commands/knob_sweep.h"

#include <cmath>
#include <string>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"

namespace attune::client {
namespace {

using ::attune::test::HasError;
using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(ParseKnobSweep, BothEndsAreIncludedAndDecimalsAreRound) {
  EXPECT_THAT(*ParseKnobSweep("-1:2:0.5"),
              ElementsAre(-1, -0.5, 0, 0.5, 1, 1.5, 2));
  // A sum of tenths would be -0.19999999999999998, and then not quite 0.
  EXPECT_THAT(*ParseKnobSweep("-0.3:0.3:0.1"),
              ElementsAre(-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3));
  const auto tenths = ParseKnobSweep("-1:1:0.1");
  ASSERT_THAT(*tenths, SizeIs(21));
  EXPECT_FALSE(std::signbit((*tenths)[10]));
  EXPECT_EQ((*tenths)[3], -0.7);
}

TEST(ParseKnobSweep, AStepThatDoesNotReachTheEndStopsBeforeIt) {
  EXPECT_THAT(*ParseKnobSweep("0:1:0.4"), ElementsAre(0, 0.4, 0.8));
  EXPECT_THAT(*ParseKnobSweep("2:2:1"), ElementsAre(2));
}

TEST(ParseKnobSweep, WhatIsNoSweepIsAUsageError) {
  for (const std::string text :
       {"", "1", "-1:1", "-1:1:0.1:2", "a:1:0.1", "-1:1:0", "-1:1:-0.1",
        "1:-1:0.1", "0:inf:1", "nan:1:1", "0:1:0.001"}) {
    EXPECT_THAT(ParseKnobSweep(text),
                HasError(absl::StatusCode::kInvalidArgument, "USAGE"))
        << text;
  }
}

}  // namespace
}  // namespace attune::client
