#include "common/bounds.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BrokenBoundsTest, ADropAsLargeAsTheBoundHolds) {
  // In floating point 0.9 − 0.89 is above 0.01.
  EXPECT_THAT(BrokenBounds({{"clean_top1", 0.01}}, {{"clean_top1", 0.9}},
                           {{"clean_top1", 0.89}}),
              IsEmpty());
  EXPECT_THAT(BrokenBounds({{"clean_top1", 0}}, {{"clean_top1", 1. / 3}},
                           {{"clean_top1", 1. / 3}}),
              IsEmpty());
}

TEST(BrokenBoundsTest, EveryBoundThatIsBrokenIsNamed) {
  EXPECT_THAT(
      BrokenBounds(
          {{"clean_top1", 0.01}, {"clean_top5", 0.5}, {"pair_accuracy", 0}},
          {{"clean_top1", 0.9}, {"clean_top5", 0.9}, {"pair_accuracy", 0.5}},
          {{"clean_top1", 0.85}, {"clean_top5", 0.5}, {"pair_accuracy", 0.4}}),
      ElementsAre("clean_top1 fell from 0.9000 to 0.8500, by more than 0.0100",
                  "pair_accuracy fell from 0.5000 to 0.4000, by more than "
                  "0.0000"));
}

TEST(BrokenBoundsTest, WhatIsNotMeasuredBreaksItsBound) {
  EXPECT_THAT(BrokenBounds({{"clean_top1", 1}}, {{"clean_top1", 0.9}}, {}),
              ElementsAre("clean_top1 was not measured"));
  EXPECT_THAT(BrokenBounds({{"clean_top1", 1}}, {}, {{"clean_top1", 0.9}}),
              ElementsAre("clean_top1 was not measured"));
  EXPECT_THAT(BrokenBounds({{"clean_top1", 1}}, {{"clean_top1", 0.9}},
                           {{"clean_top1", NAN}}),
              testing::SizeIs(1));
}

TEST(BoundableTest, FiguresThatAreBetterWhenLowerAreNot) {
  EXPECT_TRUE(IsBoundable("clean_top1"));
  EXPECT_TRUE(IsBoundable("recall_at_10_text"));
  EXPECT_FALSE(IsBoundable("attack_success"));
  EXPECT_FALSE(IsBoundable("skew_gap"));
  EXPECT_FALSE(IsBoundable(""));
}

}  // namespace
}  // namespace attune
