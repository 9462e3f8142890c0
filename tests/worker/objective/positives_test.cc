#include "worker/objective/positives.h"

#include <torch/types.h>

#include "gtest/gtest.h"

namespace attune::objective {
namespace {

const Attributes kRedBall = {{"class", "ball"}, {"color", "red"}};
const Attributes kBlueBall = {{"class", "ball"}, {"color", "blue"}};
const Attributes kBall = {{"class", "ball"}};
const Attributes kRedBox = {{"class", "box"}, {"color", "red"}};
const Attributes kRed = {{"color", "red"}};
const Attributes kNone;

TEST(Agree, EqualClassWithColourNotContradicting) {
  EXPECT_TRUE(Agree(kRedBall, kRedBall));
  EXPECT_TRUE(Agree(kRedBall, kBall));
  EXPECT_TRUE(Agree(kBall, kRedBall));
  EXPECT_FALSE(Agree(kBlueBall, kRedBall));
  EXPECT_FALSE(Agree(kRedBox, kRedBall));
  EXPECT_FALSE(Agree(kRedBox, kBall));
}

TEST(Agree, NeedsAtLeastOneSharedAttribute) {
  EXPECT_FALSE(Agree(kNone, kNone));
  EXPECT_FALSE(Agree(kRedBall, kNone));
  EXPECT_FALSE(Agree(kNone, kRedBall));
  EXPECT_FALSE(Agree(kBall, kRed));
  EXPECT_TRUE(Agree(kRedBall, kRed));
}

TEST(Positives, AreTheDiagonalAndTheAgreements) {
  const at::Tensor positives =
      Positives({&kRedBall, &kBlueBall, &kRedBox, &kNone},
                {&kRedBall, &kBall, &kRedBox, &kNone});
  const std::vector<float> expected = {1, 1, 0, 0, 0, 1, 0, 0,
                                       0, 0, 1, 0, 0, 0, 0, 1};
  EXPECT_TRUE(at::equal(positives, at::tensor(expected).reshape({4, 4})));
}

}  // namespace
}  // namespace attune::objective
