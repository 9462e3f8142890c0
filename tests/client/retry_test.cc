#include "client/retry.h"

#include <vector>

#include "absl/time/clock.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

class Retry : public ::testing::Test {
 protected:
  // Runs until `outcomes` has no entry left; counts the tries.
  absl::Status Run(std::vector<absl::Status> outcomes,
                   absl::Time deadline = absl::InfiniteFuture()) {
    tries_ = 0;
    return RetryUnavailable(policy_, deadline, [&] {
      return outcomes.at(static_cast<size_t>(tries_++));
    });
  }

  int tries_ = 0;
  std::vector<absl::Duration> delays_;
  RetryPolicy policy_ = {
      .max_attempts = 4,
      .first_delay = absl::Milliseconds(100),
      .max_delay = absl::Milliseconds(150),
      .sleep = [this](absl::Duration delay) { delays_.push_back(delay); }};
};

TEST_F(Retry, UnavailableIsTriedAgainUntilItSucceeds) {
  const absl::Status down = absl::UnavailableError("down");
  EXPECT_EQ(Run({down, down, absl::OkStatus()}), absl::OkStatus());
  EXPECT_EQ(tries_, 3);
}

TEST_F(Retry, NoOtherErrorIsTriedAgain) {
  for (const absl::Status& status :
       {absl::AbortedError("x"), absl::DeadlineExceededError("x"),
        absl::ResourceExhaustedError("x"), absl::InternalError("x")}) {
    EXPECT_EQ(Run({status}), status);
    EXPECT_EQ(tries_, 1);
  }
}

TEST_F(Retry, AMissingWorkerIsToldAtOnce) {
  const absl::Status no_worker = WithRetryDelay(
      Error(absl::StatusCode::kUnavailable, "NO_WORKER", "no worker serves"),
      absl::Seconds(5));
  EXPECT_EQ(Run({no_worker}), no_worker);
  EXPECT_EQ(tries_, 1);
}

TEST_F(Retry, TheLastErrorIsReturnedWhenTriesRunOut) {
  const absl::Status down = absl::UnavailableError("down");
  const absl::Status last = absl::UnavailableError("last");
  EXPECT_EQ(Run({down, down, down, last}), last);
  EXPECT_EQ(tries_, 4);
}

TEST_F(Retry, DelaysDoubleUpToTheLimitWithJitter) {
  const absl::Status down = absl::UnavailableError("down");
  Run({down, down, down, down}).IgnoreError();
  ASSERT_EQ(delays_.size(), 3u);
  EXPECT_THAT(delays_[0],
              AllOf(Ge(absl::Milliseconds(80)), Le(absl::Milliseconds(120))));
  EXPECT_THAT(delays_[1],
              AllOf(Ge(absl::Milliseconds(120)), Le(absl::Milliseconds(180))));
  EXPECT_EQ(RetryDelay(policy_, 1), absl::Milliseconds(100));
  EXPECT_EQ(RetryDelay(policy_, 2), absl::Milliseconds(150));
  EXPECT_EQ(RetryDelay(policy_, 1000), absl::Milliseconds(150));
}

TEST_F(Retry, ADelayThatTheServerAsksForIsRespected) {
  const absl::Status busy =
      WithRetryDelay(absl::UnavailableError("busy"), absl::Seconds(7));
  EXPECT_EQ(Run({busy, absl::OkStatus()}), absl::OkStatus());
  EXPECT_THAT(delays_, ::testing::ElementsAre(absl::Seconds(7)));
}

TEST_F(Retry, ADelayBeyondTheDeadlineEndsTheCallAtOnce) {
  const absl::Status busy =
      WithRetryDelay(absl::UnavailableError("busy"), absl::Hours(1));
  EXPECT_EQ(Run({busy}, absl::Now() + absl::Minutes(1)), busy);
  EXPECT_TRUE(delays_.empty());
}

}  // namespace
}  // namespace attune::client
