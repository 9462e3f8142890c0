// Training tasks against a fake server.

#include <ATen/ATen.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/content/small_clip.h"
#include "tests/worker/task/run_task_fixture.h"
#include "worker/model/init.h"

namespace attune::task {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using v1::FailTaskRequest;

TEST_F(RunTaskTest, TrainingReportsEveryStepStoresCheckpointsAndOutputs) {
  const v1::Task task = TrainTask(5);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  std::vector<int64_t> steps;
  for (const auto& report : seen.reports) {
    EXPECT_EQ(report.total_steps(), 5);
    for (const v1::MetricRow& row : report.rows()) {
      steps.push_back(row.step());
      EXPECT_EQ(row.attempt(), 1);
      EXPECT_TRUE(row.has_kl());
      EXPECT_TRUE(row.has_margin());
      EXPECT_GT(row.examples_per_second(), 0);
    }
  }
  EXPECT_THAT(steps, ElementsAre(1, 2, 3, 4, 5));
  ASSERT_THAT(seen.checkpoints, SizeIs(2));
  EXPECT_EQ(seen.checkpoints[0].checkpoint().step(), 2);
  EXPECT_EQ(seen.checkpoints[1].checkpoint().step(), 4);
  ASSERT_THAT(seen.completions, SizeIs(1));
  const v1::TrainResult& result = seen.completions[0].train();
  ASSERT_EQ(result.outputs_size(), 2);
  EXPECT_EQ(result.outputs(0).source(), v1::Version::SOURCE_AVERAGE);
  EXPECT_EQ(result.outputs(1).source(), v1::Version::SOURCE_LAST_ITERATE);
  for (const auto& output : result.outputs()) {
    for (const v1::TensorEntry& entry : output.manifest().tensors()) {
      EXPECT_TRUE(server_.HasBlob(entry.blob_digest())) << entry.name();
    }
    // A frozen tensor is the base's own blob.
    EXPECT_EQ(DigestOf(output.manifest(), "logit_scale"),
              DigestOf(task.train().base().manifest(), "logit_scale"));
    EXPECT_NE(DigestOf(output.manifest(), "visual.proj"),
              DigestOf(task.train().base().manifest(), "visual.proj"));
  }
  EXPECT_THAT(seen.failures, IsEmpty());
}

// A run that goes on from a checkpoint does not report the steps before it.
TEST_F(RunTaskTest, RowsAreStoredBeforeTheCheckpointThatFollowsThem) {
  ASSERT_EQ(Run(TrainTask(5)), supervise::kChildDone);
  const auto seen = server_.seen();
  ASSERT_THAT(seen.checkpoints, SizeIs(2));
  ASSERT_THAT(seen.reports_before_checkpoint, SizeIs(2));
  for (size_t i = 0; i < 2; ++i) {
    int64_t rows = 0;
    for (size_t j = 0; j < seen.reports_before_checkpoint[i]; ++j) {
      rows += seen.reports[j].rows_size();
    }
    EXPECT_GE(rows, seen.checkpoints[i].checkpoint().step());
  }
}

// What is not trained is neither sent nor stored again.
TEST_F(RunTaskTest, FrozenTowerKeepsTheBasesBlobs) {
  v1::Task task = TrainTask(5);
  v1::TrainedPart* part =
      task.mutable_train()->mutable_spec()->mutable_trained_part();
  part->set_kind(v1::TrainedPart::KIND_IMAGE);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  const v1::TensorManifest& base = task.train().base().manifest();
  for (const auto& output : seen.completions.at(0).train().outputs()) {
    int64_t new_bytes = 0, image_bytes = 0;
    for (const v1::TensorEntry& entry : output.manifest().tensors()) {
      const bool is_image = absl::StartsWith(entry.name(), "visual.");
      if (is_image) image_bytes += entry.size_bytes();
      if (entry.blob_digest() == DigestOf(base, entry.name())) continue;
      EXPECT_TRUE(is_image) << entry.name();
      EXPECT_THAT(seen.put_digests, Contains(entry.blob_digest()));
      new_bytes += entry.size_bytes();
    }
    EXPECT_EQ(new_bytes, image_bytes);
  }
  for (const auto& commit : seen.checkpoints) {
    for (const auto& entry : commit.checkpoint().manifest().tensors()) {
      EXPECT_THAT(entry.name(), HasSubstr("/visual."));
    }
  }
}

// Of one base and dataset: the reference's embeddings are computed once.
TEST_F(RunTaskTest, SecondJobTakesTheEmbeddingsOfTheFirst) {
  v1::Task task = TrainTask(5);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::TrainResult first = server_.seen().completions.at(0).train();
  // Four pictures of pairs and a clean one.
  ASSERT_TRUE(first.has_embeddings());
  ASSERT_EQ(first.embeddings().manifest().tensors_size(), 2);
  EXPECT_THAT(first.embeddings().manifest().tensors(0).shape(),
              ElementsAre(5, config_.embedding_size));
  EXPECT_THAT(first.embeddings().manifest().tensors(1).shape(),
              ElementsAre(5, 32));

  *task.mutable_train()->add_embeddings() = first.embeddings();
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::TrainResult second = server_.seen().completions.at(1).train();
  EXPECT_FALSE(second.has_embeddings());
  // What the first computed, so the same bits.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(second.outputs(i).SerializeAsString(),
              first.outputs(i).SerializeAsString());
  }
}

TEST_F(RunTaskTest, EveryOutputIsEvaluatedBesideTheBase) {
  v1::Task task = TrainTask(2);
  *task.mutable_train()->mutable_eval_dataset() = MakeDataset("eval");
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::TrainResult result = server_.seen().completions.at(0).train();
  ASSERT_EQ(result.evaluations_size(), 2);
  for (int i = 0; i < 2; ++i) {
    // As an evaluation job of the same tensors finds it.
    v1::Task evaluation;
    v1::EvaluateTask* evaluate = evaluation.mutable_evaluate();
    *evaluate->mutable_dataset() = task.train().eval_dataset();
    *evaluate->mutable_model() = task.train().base();
    *evaluate->mutable_model()->mutable_manifest() =
        result.outputs(i).manifest();
    *evaluate->mutable_against() = task.train().base();
    ASSERT_EQ(Run(evaluation), supervise::kChildDone);
    const v1::EvaluateResult expected =
        server_.seen().completions.at(1 + i).evaluate();
    EXPECT_EQ(expected.figures(0).name(), "clean_top1");
    EXPECT_EQ(result.evaluations(i).SerializeAsString(),
              expected.SerializeAsString());
  }
}

TEST_F(RunTaskTest, NonFiniteLossIsPermanent) {
  v1::Task task = TrainTask(3);
  model::Tensors broken = model::RandomTensors(config_, 1);
  broken.at("visual.proj").fill_(std::numeric_limits<float>::infinity());
  *task.mutable_train()->mutable_base() =
      test::StoreVersion(server_, "base:1", config_, broken);
  EXPECT_EQ(Run(task), supervise::kChildReported);
  const auto failures = server_.seen().failures;
  ASSERT_THAT(failures, SizeIs(1));
  EXPECT_EQ(failures[0].kind(), FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(failures[0].reason(), "NON_FINITE_LOSS");
}

}  // namespace
}  // namespace attune::task
