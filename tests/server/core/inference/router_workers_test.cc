// Which worker loads what; workers that come and go.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/inference/router_fixture.h"

namespace attune::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(RouterTest, ListenerHearsWhatAWorkerHas) {
  std::vector<std::vector<std::string>> heard;
  router_.SetLoadedListener(
      [&](const std::string& id, std::vector<std::string> versions) {
        EXPECT_EQ(id, "w");
        heard.push_back(std::move(versions));
      });
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& first = NewResult();
  Submit(base_, Images(4), &first);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  Result& second = NewResult();
  Submit(other_, Images(1), &second);
  router_.OnLoadResult(session, "digest-other", absl::OkStatus());
  router_.RemoveWorker(session);
  EXPECT_THAT(heard, ElementsAre(ElementsAre("base:1"), IsEmpty(),
                                 ElementsAre("other:1"), IsEmpty()));
}

TEST_F(RouterTest, WithoutAWorkerTheCallIsUnavailableAfterTheWait) {
  Result& result = NewResult();
  Submit(base_, Images(1), &result);
  timers_.Advance(absl::Seconds(5) - absl::Milliseconds(1));
  EXPECT_FALSE(result.has_value());
  timers_.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(result->status()), "NO_WORKER");
  EXPECT_TRUE(ErrorRetryDelay(result->status()).has_value());
  EXPECT_EQ(router_.QueueDepth(), 0);
}

TEST_F(RouterTest, WorkerThatComesWithinTheWaitServesTheCall) {
  Result& result = NewResult();
  Submit(base_, Images(1), &result);
  timers_.Advance(absl::Seconds(4));
  FakeLink link;
  const int64_t session = AddWorker(link);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(link.batches.size(), 1u);
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  EXPECT_TRUE(result->ok());
}

TEST_F(RouterTest, SlowLoadIsUnavailableShortlyBeforeTheDeadline) {
  FakeLink link;
  AddWorker(link);
  Result& result = NewResult();
  Submit(base_, Images(1), &result, absl::Seconds(10));
  timers_.Advance(absl::Seconds(9));
  EXPECT_FALSE(result.has_value());
  timers_.Advance(absl::Milliseconds(900));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(result->status()), "MODEL_NOT_LOADED");
}

TEST_F(RouterTest, BatchOfALostWorkerGoesToAnother) {
  FakeLink lost, other;
  const int64_t lost_session = AddWorker(lost);
  Result& result = NewResult();
  Submit(base_, Images(2), &result);
  timers_.Advance(absl::Milliseconds(3));
  router_.OnLoadResult(lost_session, "digest-base", absl::OkStatus());
  ASSERT_EQ(lost.batches.size(), 1u);
  const int64_t session = AddWorker(other);
  router_.RemoveWorker(lost_session);
  EXPECT_THAT(other.loads, ElementsAre("digest-base"));
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(other.batches.size(), 1u);
  EXPECT_THAT(other.batches[0].images, ElementsAre("i0", "i1"));
  ASSERT_TRUE(AnswerBatch(session, other.batches[0]).ok());
  EXPECT_TRUE(result->ok()) << result->status();
}

TEST_F(RouterTest, InputsThatTwoWorkersWereLostOverFail) {
  Result& result = NewResult();
  Submit(base_, Images(1), &result);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(result.has_value());
    FakeLink link;
    const int64_t session = AddWorker(link);
    timers_.Advance(absl::Milliseconds(3));
    router_.OnLoadResult(session, "digest-base", absl::OkStatus());
    ASSERT_EQ(link.batches.size(), 1u);
    router_.RemoveWorker(session);
  }
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorReason(result->status()), "WORKER_LOST");
}

TEST_F(RouterTest, LostLastWorkerLeavesTheWaitForAnother) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  Submit(base_, Images(1), &result);
  timers_.Advance(absl::Seconds(20));
  router_.RemoveWorker(session);
  EXPECT_FALSE(result.has_value());
  timers_.Advance(absl::Seconds(5));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(ErrorReason(result->status()), "NO_WORKER");
}

TEST_F(RouterTest, FailedLoadAnswersThoseWhoWait) {
  FakeLink link;
  const int64_t session = AddWorker(link);
  Result& result = NewResult();
  Result& again = NewResult();
  Submit(base_, Images(1), &result);
  router_.OnLoadResult(session, "digest-base",
                       Error(absl::StatusCode::kResourceExhausted,
                             "OUT_OF_MEMORY", "the model does not fit"));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(ErrorReason(result->status()), "OUT_OF_MEMORY");
  Submit(base_, Images(1), &again);
  EXPECT_THAT(link.loads, ElementsAre("digest-base", "digest-base"));
}

TEST_F(RouterTest, LeastRecentlyUsedVersionMakesRoom) {
  FakeLink link;
  const int64_t session = AddWorker(link, /*slots=*/2, /*batch_size=*/1);
  const auto third = MakeVersion("third");
  for (const auto& version : {base_, other_}) {
    Result& result = NewResult();
    Submit(version, Images(1), &result);
    router_.OnLoadResult(session, version->version.digest, absl::OkStatus());
    ASSERT_TRUE(AnswerBatch(session, link.batches.back()).ok());
    ASSERT_TRUE(result->ok());
    timers_.Advance(absl::Seconds(1));
  }
  Result& result = NewResult();
  Submit(base_, Images(1), &result);
  ASSERT_TRUE(AnswerBatch(session, link.batches.back()).ok());
  Result& last = NewResult();
  Submit(third, Images(1), &last);
  EXPECT_THAT(link.unloads, ElementsAre("digest-other"));
  EXPECT_THAT(link.loads,
              ElementsAre("digest-base", "digest-other", "digest-third"));
}

TEST_F(RouterTest, BusyVersionMakesRoomForAnOlderWait) {
  FakeLink link;
  const int64_t session = AddWorker(link, /*slots=*/1, /*batch_size=*/1);
  Result& first = NewResult();
  Result& wanted = NewResult();
  Submit(base_, Images(2), &first);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  ASSERT_EQ(link.batches.size(), 2u);
  Submit(other_, Images(1), &wanted);
  timers_.Advance(absl::Milliseconds(1));
  Result& later = NewResult();
  Submit(base_, Images(5), &later);
  EXPECT_THAT(link.unloads, IsEmpty());
  ASSERT_TRUE(AnswerBatch(session, link.batches[0]).ok());
  ASSERT_TRUE(AnswerBatch(session, link.batches[1]).ok());
  EXPECT_EQ(link.batches.size(), 2u);
  EXPECT_THAT(link.unloads, ElementsAre("digest-base"));
  EXPECT_THAT(link.loads, ElementsAre("digest-base", "digest-other"));
}

TEST_F(RouterTest, VersionThatIsBehindIsLoadedByASecondWorker) {
  FakeLink first, second;
  const int64_t session = AddWorker(first, 1, 1);
  Result& result = NewResult();
  Submit(base_, Images(6), &result);
  router_.OnLoadResult(session, "digest-base", absl::OkStatus());
  const int64_t second_session = AddWorker(second, 1, 1);
  EXPECT_THAT(second.loads, IsEmpty());
  timers_.Advance(absl::Milliseconds(50));
  EXPECT_THAT(second.loads, ElementsAre("digest-base"));
  router_.OnLoadResult(second_session, "digest-base", absl::OkStatus());
  EXPECT_EQ(second.batches.size(), 2u);
}

}  // namespace
}  // namespace attune::core
