#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
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

MetricRow Metrics(int64_t step, int32_t attempt, double loss) {
  MetricRow row;
  row.step = step;
  row.attempt = attempt;
  row.time = absl::FromUnixSeconds(step);
  row.loss = loss;
  return row;
}

TensorEntry Tensor(const std::string& name, const std::string& digest) {
  return TensorEntry{name, DataType::kBfloat16, {2, 3}, digest, 12};
}

std::vector<int64_t> Steps(
    const absl::StatusOr<std::vector<Checkpoint>>& checkpoints) {
  EXPECT_THAT(checkpoints, IsOk());
  std::vector<int64_t> steps;
  if (!checkpoints.ok()) return steps;
  for (const Checkpoint& checkpoint : *checkpoints) {
    steps.push_back(checkpoint.step);
  }
  return steps;
}

std::vector<std::string> JobIds(
    const absl::StatusOr<std::vector<Evaluation>>& evaluations) {
  EXPECT_THAT(evaluations, IsOk());
  std::vector<std::string> ids;
  if (!evaluations.ok()) return ids;
  for (const Evaluation& evaluation : *evaluations) {
    ids.push_back(evaluation.job_id);
  }
  return ids;
}

// Has the jobs "job-1" to "job-4".
class JobProgressTest : public testing::Test {
 protected:
  JobProgressTest() {
    Run([](StateTransaction& transaction) {
      for (const char* id : {"job-1", "job-2", "job-3", "job-4"}) {
        Job job;
        job.id = id;
        EXPECT_THAT(transaction.jobs().Insert(job), IsOk());
      }
    });
  }
  template <typename Body>
  void Run(Body body) {
    Write(*store_, body);
  }

  std::unique_ptr<StateStore> store_ = OpenState();
};

TEST_F(JobProgressTest, MetricsAreCopiedUpToAStepAsOfAttemptZero) {
  Run([&](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    MetricRow full = Metrics(2, 3, 0.25);
    full.epoch = 0.75;
    full.margin = -1.5;
    full.examples_per_second = 33.3;
    EXPECT_THAT(jobs.PutMetrics(
                    "job-1", {Metrics(1, 1, 0.5), full, Metrics(3, 3, 0.125)}),
                IsOk());
    EXPECT_THAT(jobs.CopyMetrics("job-1", "job-2", 2), IsOk());
    const auto rows = jobs.ListMetrics("job-2", 0, 10);
    ASSERT_THAT(rows, IsOk());
    ASSERT_EQ(rows->size(), 2);
    EXPECT_EQ((*rows)[0].step, 1);
    EXPECT_EQ((*rows)[1].step, 2);
    EXPECT_EQ((*rows)[1].attempt, 0);
    EXPECT_EQ((*rows)[1].time, full.time);
    EXPECT_EQ((*rows)[1].epoch, 0.75);
    EXPECT_EQ((*rows)[1].loss, 0.25);
    EXPECT_EQ((*rows)[1].kl, std::nullopt);
    EXPECT_EQ((*rows)[1].margin, -1.5);
    EXPECT_EQ((*rows)[1].examples_per_second, 33.3);
    EXPECT_EQ(jobs.ListMetrics("job-1", 0, 10)->size(), 3);
  });
}

TEST_F(JobProgressTest, EveryMetricComesBack) {
  MetricRow full = Metrics(5, 2, 0.1);
  full.time = absl::FromUnixNanos(123'456'789);
  full.epoch = 0.75;
  full.objective_loss = -0.0;
  full.kl = 1e-300;
  full.preferred_log_ratio = -1.5;
  full.rejected_log_ratio = 1.5;
  full.margin = std::numeric_limits<double>::infinity();
  full.pair_accuracy = 1;
  full.logit_scale = 100;
  full.learning_rate = 2e-5;
  full.gradient_norm = std::nextafter(1.0, 2.0);
  full.examples_per_second = 33.3;
  MetricRow empty;
  empty.step = 6;
  empty.kl = std::nan("");
  Run([&](StateTransaction& transaction) {
    EXPECT_THAT(transaction.jobs().PutMetrics("job-1", {full, empty}), IsOk());
    const auto rows = transaction.jobs().ListMetrics("job-1", 0, 10);
    ASSERT_THAT(rows, IsOk());
    ASSERT_EQ(rows->size(), 2);
    const MetricRow& row = rows->front();
    EXPECT_EQ(row.step, 5);
    EXPECT_EQ(row.attempt, 2);
    EXPECT_EQ(row.time, full.time);
    EXPECT_EQ(row.epoch, 0.75);
    EXPECT_EQ(row.loss, full.loss);
    EXPECT_EQ(row.objective_loss, full.objective_loss);
    EXPECT_EQ(row.kl, full.kl);
    EXPECT_EQ(row.preferred_log_ratio, full.preferred_log_ratio);
    EXPECT_EQ(row.rejected_log_ratio, full.rejected_log_ratio);
    EXPECT_EQ(row.margin, full.margin);
    EXPECT_EQ(row.pair_accuracy, full.pair_accuracy);
    EXPECT_EQ(row.logit_scale, full.logit_scale);
    EXPECT_EQ(row.learning_rate, full.learning_rate);
    EXPECT_EQ(row.gradient_norm, full.gradient_norm);
    EXPECT_EQ(row.examples_per_second, full.examples_per_second);
    EXPECT_EQ(rows->back().loss, std::nullopt);
    EXPECT_EQ(rows->back().kl, std::nullopt);
    EXPECT_EQ(rows->back().examples_per_second, std::nullopt);
  });
}

TEST_F(JobProgressTest, AMetricRowIsReplacedByTheSameOrALaterAttemptOnly) {
  Run([](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    EXPECT_THAT(jobs.PutMetrics("job-1", {Metrics(1, 2, 0.5)}), IsOk());
    EXPECT_THAT(jobs.PutMetrics("job-1", {Metrics(1, 1, 9)}), IsOk());
    EXPECT_EQ(jobs.ListMetrics("job-1", 0, 10)->front().loss, 0.5);
    EXPECT_THAT(jobs.PutMetrics("job-1", {Metrics(1, 2, 0.4)}), IsOk());
    EXPECT_EQ(jobs.ListMetrics("job-1", 0, 10)->front().loss, 0.4);
    EXPECT_THAT(jobs.PutMetrics("job-1", {Metrics(1, 3, 0.3)}), IsOk());
    const auto rows = jobs.ListMetrics("job-1", 0, 10);
    ASSERT_EQ(rows->size(), 1);
    EXPECT_EQ(rows->front().loss, 0.3);
    EXPECT_EQ(rows->front().attempt, 3);
  });
}

TEST_F(JobProgressTest, MetricsAfterAStepAreDeletedFromThatJobOnly) {
  Run([](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    for (const char* id : {"job-1", "job-2"}) {
      EXPECT_THAT(jobs.PutMetrics(id, {Metrics(3, 1, 0), Metrics(1, 1, 0),
                                       Metrics(2, 1, 0)}),
                  IsOk());
    }
    EXPECT_THAT(jobs.DeleteMetricsAfter("job-1", 1), IsOk());
    EXPECT_EQ(jobs.ListMetrics("job-1", 0, 10)->size(), 1);
    const auto page = jobs.ListMetrics("job-2", 1, 1);
    ASSERT_EQ(page->size(), 1);
    EXPECT_EQ(page->front().step, 2);
  });
}

TEST_F(JobProgressTest, EventsAreNumberedWithinTheirJob) {
  Run([](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    const absl::Time time = absl::FromUnixSeconds(9);
    EXPECT_THAT(jobs.AddEvent("job-1", {77, time, 1, "leased"}), IsOk());
    EXPECT_THAT(jobs.AddEvent("job-2", {0, time, 1, "other"}), IsOk());
    EXPECT_THAT(jobs.AddEvent("job-1", {0, time, 2, "it's \"odd\""}), IsOk());
    const auto events = jobs.ListEvents("job-1", 0, 10);
    ASSERT_THAT(events, IsOk());
    ASSERT_EQ(events->size(), 2);
    EXPECT_EQ((*events)[0].number, 1);
    EXPECT_EQ((*events)[0].message, "leased");
    EXPECT_EQ((*events)[1].number, 2);
    EXPECT_EQ((*events)[1].time, time);
    EXPECT_EQ((*events)[1].attempt, 2);
    EXPECT_EQ((*events)[1].message, "it's \"odd\"");
    EXPECT_EQ(jobs.ListEvents("job-1", 1, 10)->size(), 1);
    EXPECT_EQ(jobs.ListEvents("job-1", 0, 1)->front().number, 1);
  });
}

TEST_F(JobProgressTest, CheckpointsComeBackNewestFirstWithSortedTensors) {
  Checkpoint checkpoint;
  checkpoint.job_id = "job-1";
  checkpoint.attempt = 2;
  checkpoint.create_time = absl::FromUnixSeconds(5);
  checkpoint.manifest = {Tensor("b", "d2"), Tensor("a", "d1")};
  checkpoint.state = "{\"position\": 7}";
  Run([&](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    for (const int64_t step : {10, 30, 20}) {
      checkpoint.step = step;
      EXPECT_THAT(jobs.PutCheckpoint(checkpoint), IsOk());
    }
    const auto found = jobs.ListCheckpoints("job-1");
    EXPECT_THAT(Steps(found), ElementsAre(30, 20, 10));
    EXPECT_EQ(found->front().job_id, "job-1");
    EXPECT_EQ(found->front().attempt, 2);
    EXPECT_EQ(found->front().create_time, checkpoint.create_time);
    EXPECT_EQ(found->front().state, checkpoint.state);
    EXPECT_THAT(found->front().manifest,
                ElementsAre(Tensor("a", "d1"), Tensor("b", "d2")));
    EXPECT_THAT(jobs.DeleteCheckpoint("job-1", 20), IsOk());
    EXPECT_THAT(jobs.DeleteCheckpoint("job-1", 20), IsOk());
    EXPECT_THAT(Steps(jobs.ListCheckpoints("job-1")), ElementsAre(30, 10));
  });
}

TEST_F(JobProgressTest, ACheckpointReplacesTheOneOfItsStep) {
  Checkpoint checkpoint;
  checkpoint.job_id = "job-1";
  checkpoint.step = 10;
  Run([&](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    checkpoint.manifest = {Tensor("a", "old")};
    EXPECT_THAT(jobs.PutCheckpoint(checkpoint), IsOk());
    checkpoint.manifest = {Tensor("a", "new")};
    EXPECT_THAT(jobs.PutCheckpoint(checkpoint), IsOk());
    EXPECT_THAT(Steps(jobs.ListCheckpoints("job-1")), ElementsAre(10));
    const std::vector<std::string> digests = {"old", "new"};
    EXPECT_THAT(*transaction.FindReferencedBlobs(digests), ElementsAre("new"));
    EXPECT_THAT(jobs.DeleteCheckpoint("job-1", 10), IsOk());
    EXPECT_THAT(*transaction.FindReferencedBlobs(digests), IsEmpty());
  });
}

TEST_F(JobProgressTest, TwoTensorsOfOneNameAreRefused) {
  Checkpoint checkpoint;
  checkpoint.job_id = "job-1";
  checkpoint.manifest = {Tensor("a", "d1"), Tensor("a", "d2")};
  EXPECT_THAT(store_->Write([&](StateTransaction& transaction) {
    return transaction.jobs().PutCheckpoint(checkpoint);
  }),
              HasError(absl::StatusCode::kInvalidArgument, "DUPLICATE_TENSOR"));
}

TEST_F(JobProgressTest, AnEvaluationComesBackWithItsFigures) {
  Evaluation evaluation;
  evaluation.job_id = "job-1";
  evaluation.create_time = absl::FromUnixSeconds(5);
  evaluation.dataset = "pets";
  evaluation.dataset_digest = "digest";
  evaluation.model = "robust:1";
  evaluation.against = "clip:3";
  evaluation.figures = {{"accuracy", 0.1, 200}, {"odd", std::nan(""), 0}};
  evaluation.against_figures = {{"accuracy", 1.0 / 3, 200}};
  Figure part = {"skew_share", 0.25, 8};
  part.low = 0.125;
  part.high = std::nan("");
  part.attribute = "gender";
  part.group = "woman";
  part.candidate = "a nurse";
  FigureComparison comparison;
  comparison.difference = part;
  comparison.only_model = 3;
  comparison.only_against = 2;
  comparison.p_value = 1e-9;
  FigureComparison by_class;
  by_class.difference.class_label = "a dog";
  evaluation.comparisons = {comparison, by_class};
  Run([&](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    EXPECT_THAT(jobs.InsertEvaluation(evaluation), IsOk());
    EXPECT_THAT(jobs.InsertEvaluation(evaluation),
                HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
    const auto found = jobs.GetEvaluation("job-1", "");
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(found->create_time, evaluation.create_time);
    EXPECT_EQ(found->dataset, "pets");
    EXPECT_EQ(found->dataset_digest, "digest");
    EXPECT_EQ(found->model, "robust:1");
    EXPECT_EQ(found->against, "clip:3");
    ASSERT_EQ(found->figures.size(), 2);
    EXPECT_EQ(found->figures[0].name, "accuracy");
    EXPECT_EQ(found->figures[0].value, 0.1);
    EXPECT_EQ(found->figures[0].count, 200);
    EXPECT_TRUE(std::isnan(found->figures[1].value));
    ASSERT_EQ(found->against_figures.size(), 1);
    EXPECT_EQ(found->against_figures[0].value, 1.0 / 3);
    EXPECT_EQ(found->against_figures[0].low, std::nullopt);
    EXPECT_FALSE(found->against_figures[0].of_a_part());
    ASSERT_EQ(found->comparisons.size(), 2);
    const Figure& difference = found->comparisons[0].difference;
    EXPECT_EQ(difference.low, 0.125);
    EXPECT_TRUE(std::isnan(difference.high.value()));
    EXPECT_EQ(difference.attribute, "gender");
    EXPECT_EQ(difference.group, "woman");
    EXPECT_EQ(difference.candidate, "a nurse");
    EXPECT_TRUE(difference.of_a_part());
    EXPECT_EQ(found->comparisons[0].only_model, 3);
    EXPECT_EQ(found->comparisons[0].only_against, 2);
    EXPECT_EQ(found->comparisons[0].p_value, 1e-9);
    EXPECT_EQ(found->comparisons[1].difference.class_label, "a dog");
    EXPECT_EQ(found->comparisons[1].p_value, std::nullopt);
  });
}

TEST_F(JobProgressTest, AnEvaluationKnowsTheKnobOfItsJob) {
  Run([&](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    for (const std::optional<double> t :
         {std::optional<double>(), std::optional(0.0), std::optional(-0.7)}) {
      Job job;
      job.id = absl::StrCat("evaluation ", t.value_or(9));
      job.spec = EvaluateSpec{.dataset = "pets",
                              .model = "robust:1",
                              .against = "",
                              .templates = {},
                              .t = t};
      EXPECT_THAT(jobs.Insert(job), IsOk());
      Evaluation evaluation;
      evaluation.job_id = job.id;
      evaluation.model = "robust:1";
      EXPECT_THAT(jobs.InsertEvaluation(evaluation), IsOk());
      EXPECT_EQ(jobs.GetEvaluation(job.id, "")->t, t);
    }
    EXPECT_EQ(jobs.ListEvaluations({"robust:1", ""}, 0, 9)->front().t, -0.7);
  });
}

TEST_F(JobProgressTest, EvaluationsAreListedNewestFirstByModelInPages) {
  Run([](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    for (const auto& [job, model] :
         {std::pair("job-1", "clip:1"), std::pair("job-2", "clip:12"),
          std::pair("job-3", "clip-2:1"), std::pair("job-4", "clip:1")}) {
      Evaluation evaluation;
      evaluation.job_id = job;
      evaluation.model = model;
      EXPECT_THAT(jobs.InsertEvaluation(evaluation), IsOk());
    }
    EXPECT_THAT(JobIds(jobs.ListEvaluations({}, 0, 10)),
                ElementsAre("job-4", "job-3", "job-2", "job-1"));
    EXPECT_THAT(JobIds(jobs.ListEvaluations({"clip", ""}, 0, 10)),
                ElementsAre("job-4", "job-2", "job-1"));
    EXPECT_THAT(JobIds(jobs.ListEvaluations({"clip:1", ""}, 0, 10)),
                ElementsAre("job-4", "job-1"));
    const auto first = jobs.ListEvaluations({"clip", ""}, 0, 2);
    EXPECT_THAT(JobIds(first), ElementsAre("job-4", "job-2"));
    EXPECT_THAT(JobIds(jobs.ListEvaluations({"clip", ""}, first->back().id, 2)),
                ElementsAre("job-1"));
    EXPECT_THAT(JobIds(jobs.ListEvaluations({"none", ""}, 0, 2)), IsEmpty());
    EXPECT_THAT(JobIds(jobs.ListEvaluations({"", "job-2"}, 0, 2)),
                ElementsAre("job-2"));
    EXPECT_THAT(JobIds(jobs.ListEvaluations({"clip-2", "job-2"}, 0, 2)),
                IsEmpty());
  });
}

TEST_F(JobProgressTest, AListHasNoFiguresOfParts) {
  Evaluation evaluation;
  evaluation.job_id = "job-1";
  evaluation.model = "clip:1";
  Figure whole, by_class, by_group;
  whole.name = by_class.name = by_group.name = "clean_top1";
  by_class.class_label = "a dog";
  by_group.attribute = "gender";
  evaluation.figures = {by_class, whole, by_group};
  evaluation.against_figures = {whole, by_group};
  for (const Figure& figure : evaluation.figures) {
    evaluation.comparisons.emplace_back().difference = figure;
  }
  Run([&](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    EXPECT_THAT(jobs.InsertEvaluation(evaluation), IsOk());
    for (const EvaluationFilter& filter :
         {EvaluationFilter(), EvaluationFilter{"clip", ""}}) {
      const auto listed = jobs.ListEvaluations(filter, 0, 10);
      ASSERT_THAT(listed, IsOk());
      ASSERT_EQ(listed->size(), 1);
      ASSERT_EQ(listed->front().figures.size(), 1);
      EXPECT_FALSE(listed->front().figures[0].of_a_part());
      EXPECT_EQ(listed->front().against_figures.size(), 1);
      ASSERT_EQ(listed->front().comparisons.size(), 1);
      EXPECT_FALSE(listed->front().comparisons[0].difference.of_a_part());
    }
    EXPECT_EQ(jobs.GetEvaluation("job-1", "")->figures.size(), 3);
  });
}

TEST_F(JobProgressTest, AJobHasAnEvaluationForEachVersion) {
  Evaluation evaluation;
  evaluation.job_id = "job-1";
  evaluation.model = "robust:2";
  Evaluation other = evaluation;
  other.model = "robust:1";
  Run([&](StateTransaction& transaction) {
    JobStore& jobs = transaction.jobs();
    EXPECT_THAT(jobs.InsertEvaluation(evaluation), IsOk());
    EXPECT_THAT(jobs.InsertEvaluation(other), IsOk());
    EXPECT_EQ(jobs.GetEvaluation("job-1", "")->model, "robust:2");
    EXPECT_EQ(jobs.GetEvaluation("job-1", "robust:1")->model, "robust:1");
    EXPECT_THAT(jobs.GetEvaluation("job-1", "robust:3"),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  });
}

}  // namespace
}  // namespace attune::storage
