#include "server/core/inference/router.h"

#include <cmath>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/fake_timers.h"

namespace attune::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kDimensions = 2;

std::shared_ptr<const ServedVersion> MakeVersion(const std::string& name) {
  auto version = std::make_shared<ServedVersion>();
  version->version.model = name;
  version->version.number = 1;
  version->version.digest = "digest-" + name;
  version->version.config.embedding_size = kDimensions;
  return version;
}

std::vector<InferenceInput> Images(int count, const std::string& name = "i") {
  std::vector<InferenceInput> images;
  for (int i = 0; i < count; ++i) {
    images.push_back({.image = absl::StrCat(name, i), .tokens = {}});
  }
  return images;
}

// Writes down what it is sent.
class FakeLink : public WorkerLink {
 public:
  struct Sent {
    int64_t id;
    std::string digest;
    std::vector<std::string> images;
  };

  void SendLoad(const ServedVersion& version) override {
    loads.push_back(version.version.digest);
  }
  void SendUnload(const std::string& digest) override {
    unloads.push_back(digest);
  }
  void SendBatch(const InferenceBatch& batch) override {
    Sent sent{batch.id, batch.version->version.digest, {}};
    for (const InferenceItem& item : batch.items) {
      sent.images.push_back(item.input.image);
    }
    batches.push_back(std::move(sent));
  }

  std::vector<std::string> loads;
  std::vector<std::string> unloads;
  std::vector<Sent> batches;
};

class RouterTest : public testing::Test {
 protected:
  using Result = std::optional<absl::StatusOr<Embeddings>>;

  int64_t AddWorker(FakeLink& link, int slots = 1, int batch_size = 4) {
    return router_.AddWorker({.id = "w",
                              .device = "cpu",
                              .version_slots = slots,
                              .preferred_batch_size = batch_size},
                             &link);
  }

  Router::Ticket Submit(const std::shared_ptr<const ServedVersion>& version,
                        std::vector<InferenceInput> inputs, Result* result,
                        absl::Duration timeout = absl::Seconds(30)) {
    return router_.Submit(version, InputKind::kImage, std::move(inputs),
                          timeout, [result](absl::StatusOr<Embeddings> answer) {
                            ASSERT_FALSE(result->has_value()) << "twice";
                            *result = std::move(answer);
                          });
  }

  // Outlives the router's callbacks.
  Result& NewResult() { return results_.emplace_back(); }

  // Answers a batch: item i gets (100 · batch + i, 0).
  absl::Status AnswerBatch(int64_t session, const FakeLink::Sent& batch) {
    BatchAnswer answer;
    answer.batch_id = batch.id;
    for (size_t i = 0; i < batch.images.size(); ++i) {
      answer.embeddings.push_back(static_cast<float>(100 * batch.id + i));
      answer.embeddings.push_back(0);
    }
    return router_.OnBatchAnswer(session, answer);
  }

  std::deque<Result> results_;
  FakeClock clock_;
  FakeTimers timers_{clock_};
  Router router_{RouterOptions{}, clock_, timers_, Metrics::None()};
  std::shared_ptr<const ServedVersion> base_ = MakeVersion("base");
  std::shared_ptr<const ServedVersion> other_ = MakeVersion("other");
};

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
