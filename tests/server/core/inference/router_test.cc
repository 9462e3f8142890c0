#include "server/core/inference/router.h"

#include <cmath>
#include <cstdint>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/inference/router_fixture.h"

namespace attune::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(RouterTest, VersionIsLoadedOnDemandAndItsInputsAnswered) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  Submit(base_, Images(2), &result);
  EXPECT_THAT(link.loads, ElementsAre("digest-base"));
  timers_.Advance(absl::Milliseconds(10));
  EXPECT_THAT(link.batches, IsEmpty());

  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(link.batches.size(), 1u);
  EXPECT_THAT(link.batches[0].images, ElementsAre("i0", "i1"));
  EXPECT_FALSE(result.has_value());
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  ASSERT_TRUE(result.has_value());
  ASSERT_TRUE(result->ok()) << result->status();
  EXPECT_THAT((*result)->values, ElementsAre(100, 0, 101, 0));
  EXPECT_THAT(router_.LoadedVersions(), ElementsAre("base:1"));
}

TEST_F(RouterTest, CallersShareABatchThatGoesWhenItIsFull) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  Result& first = NewResult();
  Result& second = NewResult();
  Submit(base_, Images(1, "a"), &first);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  EXPECT_THAT(link.batches, IsEmpty());
  Submit(base_, Images(4, "b"), &second);
  ASSERT_EQ(link.batches.size(), 1u);
  EXPECT_THAT(link.batches[0].images, ElementsAre("a0", "b0", "b1", "b2"));
  timers_.Advance(absl::Milliseconds(3));
  ASSERT_EQ(link.batches.size(), 2u);
  EXPECT_THAT(link.batches[1].images, ElementsAre("b3"));

  ASSERT_TRUE(AnswerBatch(session, link.batches[1]).ok());
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  EXPECT_THAT((*first)->values, ElementsAre(100, 0));
  EXPECT_THAT((*second)->values, ElementsAre(101, 0, 102, 0, 103, 0, 200, 0));
}

TEST_F(RouterTest, PartOfABatchGoesAfterTheDelay) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& warm = NewResult();
  Result& result = NewResult();
  Submit(base_, Images(1), &warm);
  timers_.Advance(absl::Milliseconds(3));
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(link.batches.size(), 1u);
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());

  Submit(base_, Images(1), &result);
  timers_.Advance(absl::Milliseconds(2));
  EXPECT_EQ(link.batches.size(), 1u);
  timers_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(link.batches.size(), 2u);
}

TEST_F(RouterTest, AtMostTwoBatchesAreInFlight) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  Submit(base_, Images(12), &result);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  EXPECT_EQ(link.batches.size(), 2u);
  EXPECT_EQ(router_.QueueDepth(), 4);
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  EXPECT_EQ(link.batches.size(), 3u);
}

TEST_F(RouterTest, ExpiredInputsAreNeverSent) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& busy = NewResult();
  Result& expired = NewResult();
  Submit(base_, Images(8), &busy);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(link.batches.size(), 2u);
  Submit(base_, Images(2, "late"), &expired, absl::Milliseconds(100));
  timers_.Advance(absl::Milliseconds(100));
  ASSERT_TRUE(expired.has_value());
  EXPECT_EQ(expired->status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(router_.QueueDepth(), 0);
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  EXPECT_EQ(link.batches.size(), 2u);
}

TEST_F(RouterTest, CancelledInputsAreNeverSent) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  const Router::Ticket ticket = Submit(base_, Images(2), &result);
  router_.Cancel(ticket);
  EXPECT_EQ(result->status().code(), absl::StatusCode::kCancelled);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  timers_.Advance(absl::Seconds(1));
  EXPECT_THAT(link.batches, IsEmpty());
}

TEST_F(RouterTest, AnswerAfterCancellationIsDropped) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  const Router::Ticket ticket = Submit(base_, Images(4), &result);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(link.batches.size(), 1u);
  router_.Cancel(ticket);
  router_.Cancel(ticket);
  EXPECT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  EXPECT_EQ(result->status().code(), absl::StatusCode::kCancelled);
}

TEST_F(RouterTest, FullQueueRefusesTheWholeCall) {
  RouterOptions options;
  options.batcher.max_queued_images = 5;
  Router router(options, clock_, timers_, Metrics::None());
  Result& first = NewResult();
  Result& second = NewResult();
  const auto keep = [](Result* result) {
    return [result](absl::StatusOr<Embeddings> answer) { *result = answer; };
  };
  router.Submit(base_, InputKind::kImage, Images(4), absl::Seconds(30),
                keep(&first));
  router.Submit(base_, InputKind::kImage, Images(2), absl::Seconds(30),
                keep(&second));
  EXPECT_FALSE(first.has_value());
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(second->status()), "QUEUE_FULL");
  EXPECT_TRUE(ErrorRetryDelay(second->status()).has_value());
  EXPECT_EQ(router.QueueDepth(), 4);
}

TEST_F(RouterTest, FailedItemDoesNotFailItsNeighbours) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  Submit(base_, Images(4), &result);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(link.batches.size(), 1u);
  BatchAnswer answer;
  answer.batch_id = link.batches[0].id;
  answer.embeddings = {1, 0, 0, 0, 3, 0, 4, 0};
  answer.item_errors = {
      {1, Error(absl::StatusCode::kInvalidArgument, "INVALID_IMAGE", "cut")}};
  ASSERT_TRUE(router_.OnBatchAnswer(session, answer).ok());
  ASSERT_TRUE(result->ok());
  EXPECT_THAT((*result)->values, ElementsAre(1, 0, 0, 0, 3, 0, 4, 0));
  EXPECT_TRUE((*result)->errors[0].ok());
  EXPECT_EQ(ErrorReason((*result)->errors[1]), "INVALID_IMAGE");
}

TEST_F(RouterTest, EmbeddingThatIsNotFiniteFailsItsItem) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  Submit(base_, Images(4), &result);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  BatchAnswer answer;
  answer.batch_id = link.batches[0].id;
  answer.embeddings = {1, 0, std::nanf(""), 0, 3, 0, 4, 0};
  ASSERT_TRUE(router_.OnBatchAnswer(session, answer).ok());
  EXPECT_THAT((*result)->values, ElementsAre(1, 0, 0, 0, 3, 0, 4, 0));
  EXPECT_EQ((*result)->errors[1].code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrorReason((*result)->errors[1]), "NON_FINITE_EMBEDDING");
}

TEST_F(RouterTest, OnlyACallWithoutADeadlineGetsTheDefault) {
  FakeLink link;
  AddWorker(link);
  Result& none = NewResult();
  Result& longer = NewResult();
  Submit(base_, Images(1), &none, absl::InfiniteDuration());
  Submit(base_, Images(1), &longer, absl::Minutes(8));
  timers_.Advance(absl::Minutes(5));
  EXPECT_TRUE(none.has_value());
  EXPECT_FALSE(longer.has_value());
  timers_.Advance(absl::Minutes(3));
  EXPECT_TRUE(longer.has_value());
}

TEST_F(RouterTest, AnswerOfTheWrongSizeIsRefused) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  Submit(base_, Images(4), &result);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  BatchAnswer answer;
  answer.batch_id = link.batches[0].id;
  answer.embeddings = {1, 0};
  const absl::Status status = router_.OnBatchAnswer(session, answer);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_BATCH_RESULT");
  EXPECT_FALSE(result.has_value());
  answer.batch_id = 99;
  EXPECT_EQ(ErrorReason(router_.OnBatchAnswer(session, answer)),
            "INVALID_BATCH_RESULT");
}

TEST_F(RouterTest, StopEndsEveryCall) {
  Result& waiting = NewResult();
  Result& after = NewResult();
  Submit(base_, Images(1), &waiting);
  router_.Stop();
  ASSERT_TRUE(waiting.has_value());
  EXPECT_EQ(ErrorReason(waiting->status()), "DRAINING");
  Submit(base_, Images(1), &after);
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(ErrorReason(after->status()), "DRAINING");
}

TEST_F(RouterTest, TimersDoNotPileUp) {
  FakeLink link;
  const int64_t session = AddWorker(link, 1, 1);
  for (int i = 0; i < 200; ++i) {
    Result& result = NewResult();
    Submit(base_, Images(1), &result);
    if (i == 0) {
      router_.OnLoadResult(session, "digest-base", absl::OkStatus());
    }
    ASSERT_TRUE(AnswerBatch(session, link.batches.back()).ok());
    ASSERT_TRUE(result.has_value());
    timers_.Advance(absl::Milliseconds(10));
  }
  EXPECT_LE(timers_.pending(), 3u);
}

}  // namespace
}  // namespace attune::core
