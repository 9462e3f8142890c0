#include "client/demo/demo_knob.h"

#include <vector>

#include "client/demo/scenes.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

// Logits of a picture of class 3: red 5, blue 2, and among the prompts without
// a colour that of `best` is the highest.
std::vector<double> Logits(int best) {
  std::vector<double> logits(3 * kClassCount, 0);
  logits[6] = 5;
  logits[7] = 2;
  logits[static_cast<size_t>(2 * kClassCount + best)] = 1;
  return logits;
}

TEST(ReadColorAnswer, TheMarginIsThatOfTheRightColour) {
  EXPECT_EQ(ReadColorAnswer(Logits(3), 3, kRed).margin, 3);
  EXPECT_EQ(ReadColorAnswer(Logits(3), 3, kBlue).margin, -3);
  EXPECT_EQ(ReadColorAnswer(Logits(3), 2, kRed).margin, 0);
  // Green is neither.
  EXPECT_EQ(ReadColorAnswer(Logits(3), 3, 1).margin, 0);
}

TEST(ReadColorAnswer, TheShapeIsReadFromThePromptsWithoutAColour) {
  EXPECT_TRUE(ReadColorAnswer(Logits(3), 3, kRed).class_right);
  EXPECT_FALSE(ReadColorAnswer(Logits(4), 3, kRed).class_right);
  EXPECT_TRUE(ReadColorAnswer(Logits(11), 11, 1).class_right);
}

}  // namespace
}  // namespace attune::client
