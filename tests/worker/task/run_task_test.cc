// Whole tasks against a fake server.

#include "worker/task/run_task.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/content/small_clip.h"
#include "worker/model/init.h"
#include "worker/task/train_task.h"

namespace attune::task {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using v1::FailTaskRequest;

class RunTaskTest : public testing::Test {
 protected:
  RunTaskTest() {
    at::set_num_threads(1);
    server_.AddLease("lease");
    options_.device = "cpu";
    options_.decoder_program = ATTUNE_DECODER;
    options_.read_order = [] { return absl::CancelledError("none"); };
    options_.report_progress = [](const supervise::Progress&) {};
  }

  int Run(v1::Task task) {
    task.set_lease_token("lease");
    task.set_id("job-1");
    task.set_attempt(attempt_);
    return RunTask(ConnectTo(server_.address()), task, options_);
  }

  // Four pairs, a labelled and a clean example.
  v1::Dataset MakeDataset(const std::string& name) {
    std::vector<v1::Example> examples;
    for (int i = 0; i < 4; ++i) {
      v1::Example example;
      example.set_id(i + 1);
      example.set_image_digest(server_.AddBlob(test::Picture(i)));
      example.mutable_pair()->set_preferred(i % 2 == 0 ? "a dog" : "a cat");
      example.mutable_pair()->set_rejected(i % 2 == 0 ? "a cat" : "a dog");
      examples.push_back(example);
    }
    v1::Example labelled;
    labelled.set_id(5);
    labelled.set_image_digest(server_.AddBlob(test::Picture(5)));
    labelled.mutable_labelled()->set_label("a dog");
    examples.push_back(labelled);
    v1::Example clean;
    clean.set_id(6);
    clean.set_image_digest(server_.AddBlob(test::Picture(6)));
    clean.mutable_clean();
    examples.push_back(clean);
    server_.AddExamples(name, examples);
    v1::Dataset dataset;
    dataset.set_name(name);
    dataset.add_candidates("a cat");
    dataset.add_candidates("a dog");
    return dataset;
  }

  v1::Task TrainTask(int steps) {
    v1::Task task;
    v1::TrainTask* train = task.mutable_train();
    *train->mutable_dataset() = MakeDataset("set");
    *train->mutable_base() = test::StoreVersion(
        server_, "base:1", config_, model::RandomTensors(config_, 1));
    train->set_config_digest("config");
    v1::TrainSpec* spec = train->mutable_spec();
    spec->mutable_dpo()->set_beta(1);
    spec->mutable_dpo()->set_kl_weight(1);
    spec->mutable_optimizer()->set_kind(v1::Optimizer::KIND_ADAMAX);
    spec->mutable_optimizer()->set_learning_rate(1e-2);
    spec->mutable_optimizer()->set_schedule(v1::Optimizer::SCHEDULE_COSINE);
    spec->set_steps(steps);
    spec->set_batch_size(2);
    spec->set_seed(3);
    spec->set_freeze_logit_scale(true);
    spec->set_average(true);
    spec->set_checkpoint_every(2);
    return task;
  }

  test::FakeServer server_;
  const ClipConfig config_ = test::SmallClipConfig();
  TaskOptions options_;
  int attempt_ = 1;
};

std::string DigestOf(const v1::TensorManifest& manifest,
                     const std::string& name) {
  for (const v1::TensorEntry& entry : manifest.tensors()) {
    if (entry.name() == name) return entry.blob_digest();
  }
  return "";
}

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

TEST(IsFaultOfCheckpointTest, OnlyOfOneThatIsDamagedOrGone) {
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

// A result but for the embeddings, of which a run computes those of its own
// steps.
std::string BitsOf(v1::TrainResult result) {
  result.clear_embeddings();
  return result.SerializeAsString();
}

// A guard that is easily pleased: any fall is allowed.
v1::Guard* AddGuard(v1::Task& task, const v1::Dataset& eval_dataset) {
  *task.mutable_train()->mutable_eval_dataset() = eval_dataset;
  v1::Guard* guard = task.mutable_train()->mutable_spec()->mutable_guard();
  (*guard->mutable_max_drop())["pair_accuracy"] = 1;
  guard->set_best_by("pair_accuracy");
  guard->set_eval_every(1);
  return guard;
}

std::vector<std::string> NotesOf(const test::FakeServer::Seen& seen) {
  std::vector<std::string> notes;
  for (const auto& report : seen.reports) {
    notes.insert(notes.end(), report.notes().begin(), report.notes().end());
  }
  return notes;
}

TEST_F(RunTaskTest, AGuardKeepsTheFirstOutputAsItWasAtItsBestStep) {
  v1::Task task = TrainTask(6);
  AddGuard(task, MakeDataset("eval"));
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  EXPECT_THAT(NotesOf(seen), SizeIs(6));
  const v1::TrainResult guarded = seen.completions.at(0).train();
  EXPECT_EQ(guarded.steps_done(), 6);
  EXPECT_THAT(guarded.note(), HasSubstr("Kept step "));
  const std::string note = guarded.note();
  const int best = std::stoi(note.substr(note.find("step ") + 5));
  ASSERT_THAT(guarded.evaluations(), SizeIs(2));
  EXPECT_EQ(guarded.evaluations(0).against_figures_size(),
            guarded.evaluations(0).figures_size());
  // A checkpoint of the best step has the average as it was then.
  v1::Task plain = TrainTask(6);
  plain.mutable_train()->mutable_spec()->set_checkpoint_every(1);
  ASSERT_EQ(Run(plain), supervise::kChildDone);
  std::string average;
  const auto after = server_.seen();
  for (size_t i = seen.checkpoints.size(); i < after.checkpoints.size(); ++i) {
    const v1::CheckpointContent& checkpoint = after.checkpoints[i].checkpoint();
    if (checkpoint.step() != best) continue;
    average = DigestOf(checkpoint.manifest(), "average/visual.proj");
  }
  if (best == 6) {
    average = DigestOf(after.completions.at(1).train().outputs(0).manifest(),
                       "visual.proj");
  }
  EXPECT_EQ(DigestOf(guarded.outputs(0).manifest(), "visual.proj"), average);
  // The last iterate is the last one.
  EXPECT_EQ(guarded.outputs(1).SerializeAsString(),
            after.completions.at(1).train().outputs(1).SerializeAsString());
}

TEST_F(RunTaskTest, AGuardEndsARunThatGetsNoBetter) {
  v1::Task task = TrainTask(50);
  v1::Guard* guard = AddGuard(task, MakeDataset("eval"));
  // Never held: more than there is to lose.
  (*guard->mutable_max_drop())["recall_at_1_text"] = 1;
  guard->set_eval_every(2);
  guard->set_patience(3);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::TrainResult result = server_.seen().completions.at(0).train();
  EXPECT_EQ(result.steps_done(), 6);
  EXPECT_EQ(result.note(),
            "Ended early after step 6 of 50. No step held the bounds");
  const std::vector<std::string> notes = NotesOf(server_.seen());
  ASSERT_THAT(notes, SizeIs(3));
  EXPECT_THAT(notes[2], HasSubstr("ending here after 3 evaluations"));
}

TEST_F(RunTaskTest, AGuardedRunThatIsResumedEndsWithTheSameBits) {
  v1::Task task = TrainTask(8);
  AddGuard(task, MakeDataset("eval"))->set_patience(4);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  ASSERT_GE(whole.checkpoints.size(), 1u);
  for (const auto& commit : whole.checkpoints) {
    *task.mutable_train()->mutable_checkpoint() = commit.checkpoint();
    attempt_ = 2;
    ASSERT_EQ(Run(task), supervise::kChildDone);
    EXPECT_EQ(BitsOf(server_.seen().completions.back().train()),
              BitsOf(whole.completions[0].train()))
        << commit.checkpoint().step();
  }
  // The last of them went on from what it had seen, not from the start.
  const std::vector<std::string> all = NotesOf(server_.seen());
  EXPECT_LT(all.size(), NotesOf(whole).size() * (1 + whole.checkpoints.size()));
}

TEST_F(RunTaskTest, AnOrderDoesNotWaitForTheGuard) {
  v1::Task task = TrainTask(8);
  AddGuard(task, MakeDataset("eval"));
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto whole = server_.seen();
  task.mutable_train()->mutable_spec()->set_checkpoint_every(10'000'000);
  // The order is there when the step is done and its evaluation is next.
  auto step_done = std::make_shared<absl::Notification>();
  auto given = std::make_shared<absl::Notification>();
  options_.report_progress = [=](const supervise::Progress& progress) {
    if (progress.step != 3 || step_done->HasBeenNotified()) return;
    step_done->Notify();
    given->WaitForNotification();
  };
  options_.read_order = [=, asked = std::make_shared<bool>(
                                false)]() -> absl::StatusOr<supervise::Order> {
    if (*asked) {
      given->Notify();
      return absl::CancelledError("no more");
    }
    *asked = true;
    step_done->WaitForNotification();
    return supervise::Order::kHandBack;
  };
  ASSERT_EQ(Run(task), supervise::kChildReported);
  const auto stopped = server_.seen();
  EXPECT_EQ(NotesOf(stopped).size(), NotesOf(whole).size() + 2);
  ASSERT_EQ(stopped.checkpoints.size(), whole.checkpoints.size() + 1);
  EXPECT_EQ(stopped.checkpoints.back().checkpoint().step(), 3);
  // The next attempt begins with the evaluation of the stored step.
  *task.mutable_train()->mutable_checkpoint() =
      stopped.checkpoints.back().checkpoint();
  options_.report_progress = [](const supervise::Progress&) {};
  options_.read_order = [] { return absl::CancelledError("none"); };
  ASSERT_EQ(Run(task), supervise::kChildDone);
  EXPECT_EQ(BitsOf(server_.seen().completions.back().train()),
            BitsOf(whole.completions[0].train()));
  EXPECT_EQ(NotesOf(server_.seen()).size(), 2 * NotesOf(whole).size());
}

TEST_F(RunTaskTest, ACheckpointIsStoredBeforeTheGuardEvaluatesItsStep) {
  v1::Task task = TrainTask(4);
  AddGuard(task, MakeDataset("eval"));
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const auto seen = server_.seen();
  ASSERT_THAT(seen.checkpoints, SizeIs(2));
  EXPECT_EQ(seen.checkpoints[0].checkpoint().step(), 2);
  // The last step is stored too: an evaluation is still to come.
  EXPECT_EQ(seen.checkpoints[1].checkpoint().step(), 4);
  *task.mutable_train()->mutable_checkpoint() =
      seen.checkpoints[1].checkpoint();
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const std::vector<std::string> notes = NotesOf(server_.seen());
  ASSERT_THAT(notes, SizeIs(5));
  EXPECT_EQ(notes[4], notes[3]);
  EXPECT_EQ(BitsOf(server_.seen().completions[1].train()),
            BitsOf(seen.completions[0].train()));
}

TEST_F(RunTaskTest, HandBackStoresACheckpointFirst) {
  v1::Task task = TrainTask(1'000'000);
  task.mutable_train()->mutable_spec()->set_checkpoint_every(10'000'000);
  auto wait = std::make_shared<absl::Notification>();
  auto given = std::make_shared<std::atomic<bool>>(false);
  options_.report_progress = [wait](const supervise::Progress& progress) {
    if (progress.step == 3) wait->Notify();
  };
  options_.read_order = [wait, given]() -> absl::StatusOr<supervise::Order> {
    if (given->exchange(true)) return absl::CancelledError("no more");
    wait->WaitForNotification();
    return supervise::Order::kHandBack;
  };
  EXPECT_EQ(Run(task), supervise::kChildReported);
  const auto seen = server_.seen();
  ASSERT_THAT(seen.checkpoints, SizeIs(1));
  EXPECT_GE(seen.checkpoints[0].checkpoint().step(), 3);
  ASSERT_THAT(seen.failures, SizeIs(1));
  EXPECT_EQ(seen.failures[0].kind(), FailTaskRequest::KIND_HAND_BACK);
  int64_t rows = 0;
  for (const auto& report : seen.reports) rows += report.rows_size();
  EXPECT_EQ(rows, seen.checkpoints[0].checkpoint().step());
}

TEST_F(RunTaskTest, CancellationStoresNothing) {
  v1::Task task = TrainTask(1'000'000);
  task.mutable_train()->mutable_spec()->set_checkpoint_every(10'000'000);
  auto given = std::make_shared<std::atomic<bool>>(false);
  options_.read_order = [given]() -> absl::StatusOr<supervise::Order> {
    if (given->exchange(true)) return absl::CancelledError("no more");
    return supervise::Order::kCancel;
  };
  EXPECT_EQ(Run(task), supervise::kChildReported);
  const auto seen = server_.seen();
  EXPECT_THAT(seen.checkpoints, IsEmpty());
  ASSERT_THAT(seen.failures, SizeIs(1));
  EXPECT_EQ(seen.failures[0].kind(), FailTaskRequest::KIND_HAND_BACK);
}

TEST_F(RunTaskTest, LostLeaseEndsWithoutAReport) {
  const v1::Task task = TrainTask(1'000'000);
  server_.LoseLease("lease");
  EXPECT_EQ(Run(task), supervise::kChildLeaseLost);
  EXPECT_THAT(server_.seen().failures, IsEmpty());
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

TEST_F(RunTaskTest, MissingGpuIsPermanent) {
  options_.device = "cuda:99";
  EXPECT_EQ(Run(TrainTask(1)), supervise::kChildReported);
  const auto failures = server_.seen().failures;
  ASSERT_THAT(failures, SizeIs(1));
  EXPECT_EQ(failures[0].reason(), "NO_CUDA");
}

TEST_F(RunTaskTest, ValidationNamesTheExamplesThatDoNotDecode) {
  v1::Task task;
  *task.mutable_validate()->mutable_dataset() = MakeDataset("set");
  std::vector<v1::Example> examples(3);
  const std::string cut = test::Picture(1).substr(0, 60);
  examples[0].set_id(11);
  examples[0].set_image_digest(server_.AddBlob(test::Picture(1)));
  examples[1].set_id(12);
  examples[1].set_image_digest(server_.AddBlob(cut));
  examples[2].set_id(13);
  examples[2].set_image_digest(server_.AddBlob(test::Picture(2)));
  examples[2].mutable_pair()->set_clean_image_digest(server_.AddBlob(cut));
  server_.AddExamples("set", examples);
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::ValidateResult result = server_.seen().completions.at(0).validate();
  EXPECT_EQ(result.invalid_example_count(), 2);
  ASSERT_EQ(result.invalid_examples_size(), 2);
  EXPECT_EQ(result.invalid_examples(0).example(), 12);
  EXPECT_EQ(result.invalid_examples(1).example(), 13);
  EXPECT_THAT(result.invalid_examples(1).reason(), HasSubstr("clean_image: "));
}

TEST_F(RunTaskTest, EvaluationComparesTwoVersions) {
  v1::Task task;
  v1::EvaluateTask* evaluate = task.mutable_evaluate();
  *evaluate->mutable_dataset() = MakeDataset("set");
  *evaluate->mutable_model() = test::StoreVersion(
      server_, "m:1", config_, model::RandomTensors(config_, 1));
  *evaluate->mutable_against() = test::StoreVersion(
      server_, "m:2", config_, model::RandomTensors(config_, 2));
  evaluate->mutable_spec()->add_templates("a photo of {}");
  evaluate->mutable_spec()->add_templates("{} there");
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::EvaluateResult result = server_.seen().completions.at(0).evaluate();
  std::vector<std::string> names;
  for (const v1::Figure& figure : result.figures()) {
    names.push_back(figure.name());
    EXPECT_EQ(figure.count(), figure.name() == "pair_accuracy" ? 4 : 1);
  }
  EXPECT_THAT(names, ElementsAre("clean_top1", "clean_top5", "pair_accuracy"));
  EXPECT_EQ(result.against_figures_size(), result.figures_size());
  for (int i = 0; i < result.figures_size(); ++i) {
    const v1::Figure& model = result.figures(i);
    const v1::Figure& against = result.against_figures(i);
    const v1::FigureComparison& comparison = result.comparisons(i);
    EXPECT_EQ(comparison.difference().name(), model.name());
    EXPECT_DOUBLE_EQ(comparison.difference().value(),
                     model.value() - against.value());
    EXPECT_TRUE(model.has_low() && against.has_high());
    EXPECT_TRUE(comparison.has_p_value());
  }
  // Labelled "a dog", pairs of either class.
  std::vector<std::string> classes;
  for (const v1::Figure& figure : result.part_figures()) {
    classes.push_back(figure.name() + " " + figure.class_label());
  }
  EXPECT_THAT(classes,
              ElementsAre("clean_top1 a dog", "clean_top5 a dog",
                          "pair_accuracy a cat", "pair_accuracy a dog"));
}

TEST_F(RunTaskTest, TheKnobOfAHeadIsTurnedBeforeItIsMeasured) {
  std::vector<v1::Example> examples;
  for (int i = 0; i < 40; ++i) {
    v1::Example example;
    example.set_id(i + 1);
    example.set_image_digest(server_.AddBlob(test::Picture(i)));
    example.mutable_labelled()->set_label("a dog");
    examples.push_back(example);
  }
  server_.AddExamples("many", examples);
  const model::Tensors towers = model::RandomTensors(config_, 1);
  model::Tensors with_head = towers;
  // Directions of very different weights, of which this seed gives some that
  // change an answer.
  at::manual_seed(5);
  const int64_t d = config_.embedding_size;
  with_head[kHeadDirections] =
      std::get<0>(at::linalg_qr(at::randn({d, d}))).contiguous();
  with_head[kHeadSingularValues] = at::logspace(-2, 2, d);
  v1::Task task;
  v1::EvaluateTask* evaluate = task.mutable_evaluate();
  evaluate->mutable_dataset()->set_name("many");
  evaluate->mutable_dataset()->add_candidates("a cat");
  evaluate->mutable_dataset()->add_candidates("a dog");
  *evaluate->mutable_model() =
      test::StoreVersion(server_, "m:2", config_, with_head);
  *evaluate->mutable_against() =
      test::StoreVersion(server_, "m:1", config_, towers);
  int runs = 0;
  const auto measure = [&](std::optional<double> t) {
    evaluate->mutable_spec()->clear_t();
    if (t.has_value()) evaluate->mutable_spec()->set_t(*t);
    EXPECT_EQ(Run(task), supervise::kChildDone);
    return server_.seen().completions.at(runs++).evaluate();
  };
  const v1::EvaluateResult base = measure(0);
  for (const v1::FigureComparison& comparison : base.comparisons()) {
    EXPECT_EQ(comparison.only_model() + comparison.only_against(), 0);
  }
  const v1::EvaluateResult trained = measure(std::nullopt);
  EXPECT_EQ(trained.SerializeAsString(), measure(1).SerializeAsString());
  // A head that does something does the opposite for a negative t.
  const v1::EvaluateResult reversed = measure(-1);
  const v1::FigureComparison& at_one = trained.comparisons(0);
  EXPECT_GT(at_one.only_model() + at_one.only_against(), 0);
  EXPECT_NE(reversed.figures(0).value(), trained.figures(0).value());
}

TEST_F(RunTaskTest, GroupsHaveTablesAndTheSkewOfAllTheirPictures) {
  std::vector<v1::Example> examples;
  for (int i = 0; i < 6; ++i) {
    v1::Example example;
    example.set_id(100 + i);
    example.set_image_digest(server_.AddBlob(test::Picture(i)));
    if (i < 4) {
      example.mutable_labelled()->set_label(i % 2 == 0 ? "a dog" : "a cat");
    } else {
      example.mutable_clean();
    }
    (*example.mutable_attributes())["gender"] = i < 3 ? "man" : "woman";
    (*example.mutable_attributes())["file"] = std::to_string(i);
    examples.push_back(example);
  }
  server_.AddExamples("people", examples);
  v1::Task task;
  v1::EvaluateTask* evaluate = task.mutable_evaluate();
  evaluate->mutable_dataset()->set_name("people");
  evaluate->mutable_dataset()->add_candidates("a cat");
  evaluate->mutable_dataset()->add_candidates("a dog");
  *evaluate->mutable_model() = test::StoreVersion(
      server_, "m:1", config_, model::RandomTensors(config_, 1));
  ASSERT_EQ(Run(task), supervise::kChildDone);
  const v1::EvaluateResult result = server_.seen().completions.at(0).evaluate();
  double shares = 0;
  int gaps = 0;
  for (const v1::Figure& figure : result.part_figures()) {
    EXPECT_NE(figure.attribute(), "file");  // groups of one
    if (figure.name() == "skew_share") {
      EXPECT_EQ(figure.count(), 3);  // clean pictures too
      shares += figure.value();
    }
    if (figure.name() == "clean_top1" && figure.attribute() == "gender") {
      EXPECT_EQ(figure.count(), figure.group() == "man" ? 3 : 1);
    }
    gaps += figure.name() == "skew_gap";
  }
  EXPECT_NEAR(shares, 2, 1e-12);
  EXPECT_EQ(gaps, 1);
  EXPECT_EQ(result.comparisons_size(), 0);
}

TEST_F(RunTaskTest, LabelThatIsNoCandidateIsPermanent) {
  v1::Task task;
  v1::EvaluateTask* evaluate = task.mutable_evaluate();
  *evaluate->mutable_dataset() = MakeDataset("set");
  evaluate->mutable_dataset()->clear_candidates();
  evaluate->mutable_dataset()->add_candidates("a bird");
  *evaluate->mutable_model() = test::StoreVersion(
      server_, "m:1", config_, model::RandomTensors(config_, 1));
  EXPECT_EQ(Run(task), supervise::kChildReported);
  EXPECT_EQ(server_.seen().failures.at(0).reason(), "TEXT_NOT_A_CANDIDATE");
}

TEST(FailureKindTest, OutOfMemoryIsPermanentOnADeviceThatIsOtherwiseFree) {
  const absl::Status status =
      Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", "x");
  EXPECT_EQ(FailureKind(status, false, /*device_free=*/true),
            FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(FailureKind(status, false, /*device_free=*/false),
            FailTaskRequest::KIND_RETRYABLE);
}

TEST(FailureKindTest, AFullDiskOfTheServerIsTriedAgain) {
  EXPECT_EQ(
      FailureKind(Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", "x"),
                  false, true),
      FailTaskRequest::KIND_RETRYABLE);
}

TEST(FailureKindTest, ErrorsSayWhetherAnotherAttemptCanHelp) {
  const auto kind = [](absl::StatusCode code) {
    return FailureKind(Error(code, "X", "x"), false, true);
  };
  EXPECT_EQ(kind(absl::StatusCode::kInvalidArgument),
            FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(kind(absl::StatusCode::kResourceExhausted),
            FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(kind(absl::StatusCode::kDataLoss), FailTaskRequest::KIND_PERMANENT);
  EXPECT_EQ(kind(absl::StatusCode::kInternal), FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(kind(absl::StatusCode::kUnavailable),
            FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(kind(absl::StatusCode::kCancelled),
            FailTaskRequest::KIND_RETRYABLE);
  EXPECT_EQ(FailureKind(absl::CancelledError("stop"), true, true),
            FailTaskRequest::KIND_HAND_BACK);
  EXPECT_EQ(FailureKind(Error(absl::StatusCode::kAborted, "LEASE_LOST", "gone"),
                        true, true),
            FailTaskRequest::KIND_UNSPECIFIED);
}

}  // namespace
}  // namespace attune::task
