// Training tasks that go on from a checkpoint.

#include <nlohmann/json.hpp>
#include <string>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/task/run_task_fixture.h"
#include "worker/task/train_task.h"

namespace attune::task {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using v1::FailTaskRequest;

TEST_F(RunTaskTest, RunThatGoesOnTakesNoEmbeddingsButItsOwn) {
  v1::Task task = TrainTask(6);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  // Found meanwhile: stored by another job.
  *task.mutable_train()->add_embeddings() =
      whole.completions.at(0).train().embeddings();
  *task.mutable_train()->mutable_checkpoint() =
      whole.checkpoints.at(0).checkpoint();
  attempt_ = 2;
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  EXPECT_EQ(seen.completions.at(1).train().SerializeAsString(),
            seen.completions.at(0).train().SerializeAsString());
}

TEST_F(RunTaskTest, ResumedRunEndsWithTheSameBits) {
  v1::Task task = TrainTask(6);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  *task.mutable_train()->mutable_checkpoint() =
      whole.checkpoints.at(0).checkpoint();
  attempt_ = 2;
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  ASSERT_THAT(seen.completions, SizeIs(2));
  EXPECT_EQ(seen.completions[1].train().SerializeAsString(),
            seen.completions[0].train().SerializeAsString());
  const v1::MetricRow& first = seen.reports.at(whole.reports.size()).rows(0);
  EXPECT_EQ(first.step(), 3);
  EXPECT_EQ(first.attempt(), 2);
}

TEST_F(RunTaskTest, DamagedCheckpointFallsBackToTheOneBeforeAndIsReported) {
  v1::Task task = TrainTask(6);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  const v1::CheckpointContent& earlier = whole.checkpoints.at(0).checkpoint();
  const v1::CheckpointContent& last = whole.checkpoints.at(1).checkpoint();
  *task.mutable_train()->mutable_checkpoint() = last;
  *task.mutable_train()->add_earlier_checkpoints() = earlier;
  const std::string damaged = DigestOf(last.manifest(), "weights/visual.proj");
  ASSERT_NE(damaged, DigestOf(earlier.manifest(), "weights/visual.proj"));
  std::string bytes = server_.GetBlob(damaged);
  bytes[5] = static_cast<char>(bytes[5] ^ 1);
  server_.DamageBlob(damaged, bytes);
  attempt_ = 2;
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  EXPECT_EQ(seen.completions.at(1).train().SerializeAsString(),
            seen.completions.at(0).train().SerializeAsString());
  const v1::ReportMetricsRequest& report =
      seen.reports.at(whole.reports.size());
  EXPECT_THAT(report.unusable_checkpoints(), ElementsAre(last.step()));
  EXPECT_EQ(seen.reports.at(whole.reports.size() + 1).rows(0).step(),
            earlier.step() + 1);
}

// A checkpoint as a build wrote it whose format was another by `difference`.
v1::CheckpointContent OfOtherFormat(v1::CheckpointContent checkpoint,
                                    int difference) {
  nlohmann::json state = nlohmann::json::parse(checkpoint.state());
  nlohmann::json trainer =
      nlohmann::json::parse(state["trainer"].get<std::string>());
  trainer["format"] = trainer["format"].get<int>() + difference;
  state["trainer"] = trainer.dump();
  checkpoint.set_state(state.dump());
  return checkpoint;
}

TEST_F(RunTaskTest, OutdatedCheckpointsAreReportedAndTheRunBeginsAnew) {
  v1::Task task = TrainTask(6);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  const v1::CheckpointContent& earlier = whole.checkpoints.at(0).checkpoint();
  const v1::CheckpointContent& last = whole.checkpoints.at(1).checkpoint();
  *task.mutable_train()->mutable_checkpoint() = OfOtherFormat(last, -1);
  *task.mutable_train()->add_earlier_checkpoints() = OfOtherFormat(earlier, -1);
  attempt_ = 2;
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  EXPECT_EQ(seen.completions.at(1).train().SerializeAsString(),
            seen.completions.at(0).train().SerializeAsString());
  EXPECT_THAT(seen.reports.at(whole.reports.size()).unusable_checkpoints(),
              ElementsAre(last.step(), earlier.step()));
  EXPECT_EQ(seen.reports.at(whole.reports.size() + 1).rows(0).step(), 1);
}

TEST_F(RunTaskTest, CheckpointOfANewerFormatFailsTheAttemptAndIsKept) {
  v1::Task task = TrainTask(4);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  *task.mutable_train()->mutable_checkpoint() =
      OfOtherFormat(whole.checkpoints.at(0).checkpoint(), 1);
  ASSERT_EQ(Run(task), supervise::kChildReported);
  const auto seen = server_.seen();
  EXPECT_EQ(seen.reports.size(), whole.reports.size());
  ASSERT_THAT(seen.failures, SizeIs(1));
  EXPECT_EQ(seen.failures[0].kind(), FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(seen.failures[0].reason(), "CHECKPOINT_MISMATCH");
}

TEST_F(RunTaskTest, CheckpointOfAnotherRunFailsTheAttemptAndIsKept) {
  v1::Task task = TrainTask(4);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  *task.mutable_train()->mutable_checkpoint() =
      whole.checkpoints.at(0).checkpoint();
  task.mutable_train()->set_config_digest("other");
  ASSERT_EQ(Run(task), supervise::kChildReported);
  const auto seen = server_.seen();
  EXPECT_EQ(seen.reports.size(), whole.reports.size());
  ASSERT_THAT(seen.failures, SizeIs(1));
  EXPECT_EQ(seen.failures[0].kind(), FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(seen.failures[0].reason(), "CHECKPOINT_MISMATCH");
}

TEST(IsFaultOfCheckpointTest, OnlyOfOneThatIsDamagedGoneOrOutdated) {
  constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
  EXPECT_TRUE(
      IsFaultOfCheckpoint(Error(kPrecondition, "CHECKPOINT_OUTDATED", "x")));
  EXPECT_FALSE(
      IsFaultOfCheckpoint(Error(kPrecondition, "CHECKPOINT_MISMATCH", "x")));
  for (const auto code :
       {absl::StatusCode::kDataLoss, absl::StatusCode::kInvalidArgument,
        absl::StatusCode::kNotFound}) {
    EXPECT_TRUE(IsFaultOfCheckpoint(Error(code, "X", "x"))) << code;
  }
  // LibTorch's errors are INTERNAL or RESOURCE_EXHAUSTED.
  for (const auto code :
       {absl::StatusCode::kInternal, absl::StatusCode::kResourceExhausted,
        absl::StatusCode::kFailedPrecondition, absl::StatusCode::kCancelled,
        absl::StatusCode::kUnavailable, absl::StatusCode::kUnknown,
        absl::StatusCode::kAborted, absl::StatusCode::kUnimplemented}) {
    EXPECT_FALSE(IsFaultOfCheckpoint(Error(code, "X", "x"))) << code;
  }
}

}  // namespace
}  // namespace attune::task
