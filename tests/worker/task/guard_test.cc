#include "worker/task/guard.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"

namespace attune::task {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::HasSubstr;

Guard::Options Bounds(int patience) {
  return {.max_drop = {{"clean_top1", 0.01}, {"pair_accuracy", 0.5}},
          .best_by = "attacked_top1",
          .patience = patience};
}

FigureValues Figures(double clean, double attacked) {
  return {{"clean_top1", clean},
          {"pair_accuracy", 0.5},
          {"attacked_top1", attacked}};
}

Guard NewGuard(int patience) {
  return Guard(Bounds(patience), Figures(.9, .1));
}

TEST(GuardTest, KeepsTheBestOfTheStepsThatHoldTheBounds) {
  Guard guard = NewGuard(0);
  EXPECT_TRUE(guard.Judge(10, Figures(.90, .20)).best);
  EXPECT_TRUE(guard.Judge(20, Figures(.89, .40)).best);
  // Better still, but it breaks a bound.
  const Guard::Verdict broken = guard.Judge(30, Figures(.85, .80));
  EXPECT_FALSE(broken.best);
  EXPECT_EQ(broken.sentence,
            "Step 30: attacked_top1 0.8000; clean_top1 fell from 0.9000 to "
            "0.8500, by more than 0.0100");
  // As good is no better.
  EXPECT_FALSE(guard.Judge(40, Figures(.90, .40)).best);
  EXPECT_FALSE(guard.Judge(50, Figures(.95, .30)).best);
  EXPECT_TRUE(guard.Judge(60, Figures(.89, .41)).best);
  EXPECT_EQ(guard.best_step(), 60);
  EXPECT_EQ(guard.judged_step(), 60);
  EXPECT_FALSE(guard.stopped());
  EXPECT_EQ(guard.Note(60),
            "Kept step 60, the best that held the bounds (attacked_top1 "
            "0.4100)");
}

TEST(GuardTest, EndsAfterAsManyEvaluationsWithoutABetterOneAsItHasPatience) {
  Guard guard = NewGuard(2);
  EXPECT_FALSE(guard.Judge(1, Figures(.90, .3)).stop);
  EXPECT_FALSE(guard.Judge(2, Figures(.90, .3)).stop);
  EXPECT_FALSE(guard.Judge(3, Figures(.90, .4)).stop);  // better: counts anew
  EXPECT_FALSE(guard.Judge(4, Figures(.90, .2)).stop);
  const Guard::Verdict last = guard.Judge(5, Figures(.5, .9));
  EXPECT_TRUE(last.stop);
  EXPECT_THAT(
      last.sentence,
      HasSubstr("ending here after 2 evaluations without a better one"));
  EXPECT_TRUE(guard.stopped());
  EXPECT_EQ(guard.best_step(), 3);
  EXPECT_EQ(guard.Note(100),
            "Ended early after step 5 of 100. Kept step 3, the best that held "
            "the bounds (attacked_top1 0.4000)");
}

TEST(GuardTest, SaysSoWhenNoStepHoldsTheBounds) {
  Guard guard = NewGuard(3);
  for (int step = 1; step <= 3; ++step) {
    EXPECT_FALSE(guard.Judge(step, Figures(.5, .9)).best);
  }
  EXPECT_TRUE(guard.stopped());
  EXPECT_EQ(guard.best_step(), std::nullopt);
  EXPECT_EQ(guard.Note(9),
            "Ended early after step 3 of 9. No step held the bounds");
}

TEST(GuardTest, AFigureThatIsNotThereHoldsNothing) {
  Guard guard = NewGuard(0);
  EXPECT_FALSE(guard.Judge(1, {{"attacked_top1", .9}}).best);
  EXPECT_FALSE(
      guard.Judge(2, {{"clean_top1", .9}, {"pair_accuracy", .9}}).best);
  EXPECT_TRUE(guard.Judge(3, Figures(.9, 0)).best);
}

TEST(GuardTest, ARestoredGuardDecidesAsTheOneThatWentOn) {
  const std::vector<FigureValues> all = {
      Figures(.90, .20), Figures(.70, .90), Figures(.90, .50), Figures(.90, .4),
      Figures(.895, .5), Figures(.90, .45), Figures(.90, .60)};
  for (size_t cut = 0; cut < 6; ++cut) {
    Guard whole = NewGuard(3);
    Guard first = NewGuard(3);
    for (size_t i = 0; i < cut; ++i) {
      whole.Judge(static_cast<int64_t>(i) + 1, all[i]);
      first.Judge(static_cast<int64_t>(i) + 1, all[i]);
    }
    absl::StatusOr<Guard> second = Guard::FromJson(Bounds(3), first.ToJson());
    ASSERT_THAT(second, IsOk());
    for (size_t i = cut; i < all.size() && !whole.stopped(); ++i) {
      const auto step = static_cast<int64_t>(i) + 1;
      const Guard::Verdict expected = whole.Judge(step, all[i]);
      const Guard::Verdict found = second->Judge(step, all[i]);
      EXPECT_EQ(found.best, expected.best);
      EXPECT_EQ(found.stop, expected.stop);
      EXPECT_EQ(found.sentence, expected.sentence);
    }
    EXPECT_EQ(second->ToJson(), whole.ToJson());
    EXPECT_EQ(whole.best_step(), 3);
    EXPECT_EQ(whole.judged_step(), 6);
  }
}

TEST(GuardTest, AStateThatCannotBeReadIsDataLoss) {
  for (const char* json : {"", "7", "{}", "{\"base\": 3}"}) {
    EXPECT_THAT(Guard::FromJson(Bounds(1), json),
                HasError(absl::StatusCode::kDataLoss, "INVALID_CHECKPOINT"))
        << json;
  }
}

}  // namespace
}  // namespace attune::task
