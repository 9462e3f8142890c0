// Training tasks with a guard.

#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/content/small_clip.h"
#include "tests/worker/task/run_task_fixture.h"

namespace attune::task {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

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

// From its first step on, a run that is asked to stop has something to save and
// does not break off its calls.
TEST_F(RunTaskTest, AResumedGuardHasItsPicturesBeforeTheFirstStep) {
  v1::Task task = TrainTask(4);
  AddGuard(task, MakeDataset("eval"));
  ASSERT_EQ(Run(task), supervise::kChildDone);
  *task.mutable_train()->mutable_checkpoint() =
      server_.seen().checkpoints.at(0).checkpoint();
  auto fetches = std::make_shared<int>(0);
  options_.report_progress = [=, this](const supervise::Progress& progress) {
    if (progress.total_steps == 0 || *fetches > 0) return;
    *fetches = server_.seen().calls.at("GetBlobs");
  };
  attempt_ = 2;
  ASSERT_EQ(Run(task), supervise::kChildDone);
  EXPECT_GT(*fetches, 0);
  EXPECT_EQ(server_.seen().calls.at("GetBlobs"), *fetches);
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

}  // namespace
}  // namespace attune::task
