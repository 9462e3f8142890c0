#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TrainSpec FullTrainSpec() {
  TrainSpec spec;
  spec.dataset = "typographic";
  spec.base = "clip:3";
  spec.output_model = "robust";
  spec.objective = {
      "dpo", {{"beta", 0.1}, {"kl_weight", 0}, {"label_smoothing", 0.25}}};
  spec.optimizer = {OptimizerKind::kAdamW, 1e-3, 0.05, 0.1,
                    Schedule::kConstant};
  spec.steps = 12'345'678'901;
  spec.batch_size = 8;
  spec.clean_batch_size = 16;
  spec.micro_batch_size = 4;
  spec.seed = -7;
  spec.freeze_logit_scale = true;
  spec.average = false;
  spec.checkpoint_every = 50;
  spec.eval_dataset = "held-out";
  spec.guard = GuardOptions{.max_drop = {{"clean_top1", 0.01}},
                            .eval_every = 7,
                            .patience = 2,
                            .best_by = "attacked_top1"};
  spec.truncate = true;
  spec.trained_part = {.kind = TrainedKind::kLast, .last_blocks = 2};
  spec.head_penalty = 0.25;
  spec.precision = Precision::kBf16;
  return spec;
}

Job NewJob(const std::string& id, JobSpec spec,
           JobState state = JobState::kQueued) {
  Job job;
  job.id = id;
  job.spec = std::move(spec);
  job.state = state;
  job.create_time = absl::FromUnixNanos(1'700'000'000'123'456'789);
  return job;
}

std::vector<std::string> Ids(const absl::StatusOr<std::vector<Job>>& jobs) {
  EXPECT_THAT(jobs, IsOk());
  std::vector<std::string> ids;
  if (!jobs.ok()) return ids;
  for (const Job& job : *jobs) ids.push_back(job.id);
  return ids;
}

// Each test runs in one transaction.
class JobStoreTest : public testing::Test {
 protected:
  template <typename Body>
  void Run(Body body) {
    Write(*store_,
          [&](StateTransaction& transaction) { body(transaction.jobs()); });
  }
  static void Insert(JobStore& jobs, const std::string& id, JobSpec spec,
                     JobState state = JobState::kQueued) {
    Job job = NewJob(id, std::move(spec), state);
    EXPECT_THAT(jobs.Insert(job), IsOk());
  }

  std::unique_ptr<StateStore> store_ = OpenState();
};

TEST_F(JobStoreTest, EverySpecComesBack) {
  TrainSpec contrastive = FullTrainSpec();
  contrastive.objective = {"infonce", {{"kl_weight", 0.5}}};
  contrastive.steps.reset();
  contrastive.epochs = 0;
  contrastive.checkpoint_every.reset();
  const std::vector<JobSpec> specs = {TrainSpec(),
                                      FullTrainSpec(),
                                      contrastive,
                                      EvaluateSpec(),
                                      EvaluateSpec{"pets",
                                                   "clip:1",
                                                   "clip:2",
                                                   {"a {}", "ein \"{}\""},
                                                   true,
                                                   {"gender", "age"},
                                                   7,
                                                   -0.5},
                                      ValidateSpec{"pets"}};
  Run([&](JobStore& jobs) {
    for (size_t i = 0; i < specs.size(); ++i) {
      Insert(jobs, std::to_string(i), specs[i]);
    }
    for (size_t i = 0; i < specs.size(); ++i) {
      const absl::StatusOr<Job> job = jobs.Get(std::to_string(i));
      ASSERT_THAT(job, IsOk());
      EXPECT_TRUE(job->spec == specs[i]) << i;
    }
  });
}

TEST_F(JobStoreTest, EveryFieldComesBackAfterInsertAndUpdate) {
  Job job = NewJob("job-1", ValidateSpec{"pets"});
  job.retry_of = "job-0";
  job.input_digests = {"d1", "d2"};
  const auto expect_equal = [](const Job& a, const Job& b) {
    EXPECT_EQ(a.sequence, b.sequence);
    EXPECT_EQ(a.state, b.state);
    EXPECT_EQ(a.create_time, b.create_time);
    EXPECT_EQ(a.start_time, b.start_time);
    EXPECT_EQ(a.end_time, b.end_time);
    EXPECT_EQ(a.attempt, b.attempt);
    EXPECT_EQ(a.failure_count, b.failure_count);
    EXPECT_EQ(a.backoff_until, b.backoff_until);
    EXPECT_EQ(a.status_message, b.status_message);
    EXPECT_EQ(a.step, b.step);
    EXPECT_EQ(a.total_steps, b.total_steps);
    EXPECT_EQ(a.worker_id, b.worker_id);
    EXPECT_EQ(a.lease_token_hash, b.lease_token_hash);
    EXPECT_EQ(a.config_digest, b.config_digest);
    EXPECT_EQ(a.output_versions, b.output_versions);
    EXPECT_EQ(a.retry_of, b.retry_of);
    EXPECT_EQ(a.input_digests, b.input_digests);
  };
  Run([&](JobStore& jobs) {
    EXPECT_THAT(jobs.Insert(job), IsOk());
    EXPECT_EQ(job.sequence, 1);
    expect_equal(*jobs.Get("job-1"), job);
    job.state = JobState::kBackoff;
    job.start_time = absl::FromUnixSeconds(10);
    job.end_time = absl::FromUnixSeconds(20);
    job.attempt = 3;
    job.failure_count = 2;
    job.backoff_until = absl::FromUnixSeconds(30);
    job.status_message = "the worker crashed";
    job.step = 40;
    job.total_steps = 50;
    job.worker_id = "worker-1";
    job.lease_token_hash = "hash";
    job.config_digest = "digest";
    job.output_versions = {"robust:1", "robust:2"};
    EXPECT_THAT(jobs.Update(job), IsOk());
    expect_equal(*jobs.Get("job-1"), job);
  });
}

TEST_F(JobStoreTest, UpdateKeepsSpecAndCreateTime) {
  Run([](JobStore& jobs) {
    Insert(jobs, "job-1", ValidateSpec{"pets"});
    Job changed = NewJob("job-1", ValidateSpec{"other"});
    changed.create_time = absl::UnixEpoch();
    EXPECT_THAT(jobs.Update(changed), IsOk());
    const absl::StatusOr<Job> job = jobs.Get("job-1");
    EXPECT_TRUE(job->spec == JobSpec(ValidateSpec{"pets"}));
    EXPECT_NE(job->create_time, absl::UnixEpoch());
  });
}

TEST_F(JobStoreTest, ATakenIdIsRefused) {
  Run([](JobStore& jobs) {
    Insert(jobs, "job-1", ValidateSpec{"pets"});
    Job again = NewJob("job-1", ValidateSpec{"pets"});
    EXPECT_THAT(jobs.Insert(again),
                HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
  });
}

TEST_F(JobStoreTest, AnUnknownIdIsNotFoundByEveryFunction) {
  const auto not_found = HasError(absl::StatusCode::kNotFound, "NOT_FOUND");
  Checkpoint checkpoint;
  checkpoint.job_id = "no";
  Evaluation evaluation;
  evaluation.job_id = "no";
  Run([&](JobStore& jobs) {
    EXPECT_THAT(jobs.Get("no"), not_found);
    EXPECT_THAT(jobs.Update(NewJob("no", ValidateSpec())), not_found);
    EXPECT_THAT(jobs.PutMetrics("no", {}), not_found);
    EXPECT_THAT(jobs.DeleteMetricsAfter("no", 0), not_found);
    EXPECT_THAT(jobs.CopyMetrics("no", "no", 1), not_found);
    EXPECT_THAT(jobs.ListMetrics("no", 0, 1), not_found);
    EXPECT_THAT(jobs.AddEvent("no", {}), not_found);
    EXPECT_THAT(jobs.ListEvents("no", 0, 1), not_found);
    EXPECT_THAT(jobs.PutCheckpoint(checkpoint), not_found);
    EXPECT_THAT(jobs.ListCheckpoints("no"), not_found);
    EXPECT_THAT(jobs.DeleteCheckpoint("no", 1), not_found);
    EXPECT_THAT(jobs.InsertEvaluation(evaluation), not_found);
    EXPECT_THAT(jobs.GetEvaluation("no", ""), not_found);
  });
}

TEST_F(JobStoreTest, ListsNewestFirstWithoutValidationsInPages) {
  Run([](JobStore& jobs) {
    Insert(jobs, "a", TrainSpec());
    Insert(jobs, "b", ValidateSpec());
    Insert(jobs, "c", EvaluateSpec(), JobState::kFailed);
    Insert(jobs, "d", TrainSpec(), JobState::kSucceeded);
    EXPECT_THAT(Ids(jobs.List(0, 10, {})), ElementsAre("d", "c", "a"));
    EXPECT_THAT(Ids(jobs.List(0, 2, {})), ElementsAre("d", "c"));
    EXPECT_THAT(Ids(jobs.List(3, 2, {})), ElementsAre("a"));
    EXPECT_THAT(Ids(jobs.List(0, 10, {JobState::kQueued, JobState::kFailed})),
                ElementsAre("c", "a"));
    EXPECT_THAT(Ids(jobs.List(0, 10, {JobState::kRunning})), IsEmpty());
  });
}

TEST_F(JobStoreTest, TheOldestQueuedJobOfAnyKindIsFound) {
  Run([](JobStore& jobs) {
    EXPECT_FALSE(jobs.OldestQueued()->has_value());
    Insert(jobs, "a", TrainSpec(), JobState::kRunning);
    Insert(jobs, "b", ValidateSpec());
    Insert(jobs, "c", TrainSpec());
    EXPECT_EQ((*jobs.OldestQueued())->id, "b");
    EXPECT_EQ(*jobs.CountQueuedBefore(jobs.Get("b")->sequence), 0);
    EXPECT_EQ(*jobs.CountQueuedBefore(jobs.Get("c")->sequence), 1);
  });
}

TEST_F(JobStoreTest, JobsAreListedAndCountedByState) {
  Run([](JobStore& jobs) {
    Insert(jobs, "a", TrainSpec(), JobState::kRunning);
    Insert(jobs, "b", ValidateSpec(), JobState::kRunning);
    Insert(jobs, "c", TrainSpec(), JobState::kPaused);
    EXPECT_THAT(Ids(jobs.ListInState(JobState::kRunning, 10)),
                ElementsAre("a", "b"));
    EXPECT_THAT(Ids(jobs.ListInState(JobState::kRunning, 1)), ElementsAre("a"));
    EXPECT_EQ(*jobs.CountInState(JobState::kRunning), 2);
    EXPECT_EQ(*jobs.CountInState(JobState::kFailed), 0);
  });
}

TEST_F(JobStoreTest, UnfinishedUsersAreFoundByWhatTheyReadAndWrite) {
  Run([](JobStore& jobs) {
    Insert(jobs, "train", FullTrainSpec(), JobState::kPaused);
    Insert(jobs, "evaluate",
           EvaluateSpec{"typographic", "robust:1", "clip:3", {}, false});
    Insert(jobs, "validate", ValidateSpec{"typographic"});
    Insert(jobs, "ended", FullTrainSpec(), JobState::kCancelled);
    EXPECT_THAT(*jobs.UnfinishedUsingDataset("typographic"),
                ElementsAre("train", "evaluate", "validate"));
    EXPECT_THAT(*jobs.UnfinishedUsingDataset("held-out"), ElementsAre("train"));
    EXPECT_THAT(*jobs.UnfinishedUsingDataset(""), IsEmpty());
    EXPECT_THAT(*jobs.UnfinishedUsingModel("clip"),
                ElementsAre("train", "evaluate"));
    EXPECT_THAT(*jobs.UnfinishedUsingModel("robust"),
                ElementsAre("train", "evaluate"));
    EXPECT_THAT(*jobs.UnfinishedUsingModel("robust:1"), IsEmpty());
    Job train = *jobs.Get("train");
    train.state = JobState::kSucceeded;
    EXPECT_THAT(jobs.Update(train), IsOk());
    EXPECT_THAT(*jobs.UnfinishedUsingDataset("held-out"), IsEmpty());
  });
}

}  // namespace
}  // namespace attune::storage
