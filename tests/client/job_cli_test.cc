// The commands of jobs as a user sees them.

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/commands/cli.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli_fixture.h"

namespace attune::client {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class JobCliTest : public CliTest {
 protected:
  JobCliTest() {
    absl::MutexLock lock(&fake_.mutex);
    fake_.job.set_id("job-1");
    fake_.job.set_state(v1::JOB_STATE_QUEUED);
    fake_.job.mutable_train()->mutable_dpo();
  }

  // Lets one watch send the job in this state.
  void WatchEndsIn(v1::JobState state, const std::string& message = "") {
    absl::MutexLock lock(&fake_.mutex);
    v1::WatchJobResponse response;
    response.set_cursor("1");
    v1::Job& job = *response.mutable_job();
    job = fake_.job;
    job.set_state(state);
    job.set_status_message(message);
    job.set_total_steps(10);
    if (state == v1::JOB_STATE_SUCCEEDED) job.add_output_versions("robust:1");
    v1::MetricRow& row = *response.add_metrics();
    row.set_step(10);
    row.set_loss(0.25);
    fake_.watches.push_back({{response}, absl::OkStatus()});
  }

  // How many lines were printed.
  int64_t Lines() const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), '\n');
  }

  const std::vector<std::string> submit_ = {
      "job",     "submit", "--dataset",      "rta",
      "--model", "base",   "--output-model", "robust"};
};

TEST_F(JobCliTest, SubmitPrintsTheIdAndSendsTheOptions) {
  std::vector<std::string> arguments = submit_;
  arguments.insert(arguments.end(), {"--kl-weight", "0", "--epochs", "30"});
  EXPECT_EQ(Run(arguments), kExitDone);
  EXPECT_EQ(out_.str(), "job-1\n");
  absl::MutexLock lock(&fake_.mutex);
  const v1::TrainSpec& spec = fake_.created_jobs.at(0).train();
  EXPECT_EQ(spec.base(), "base");
  EXPECT_TRUE(spec.dpo().has_kl_weight());
  EXPECT_EQ(spec.epochs(), 30);
}

TEST_F(JobCliTest, AnOptionOfAnotherObjectiveReturnsTwoAndSendsNothing) {
  std::vector<std::string> arguments = submit_;
  arguments.insert(arguments.end(), {"--objective", "infonce", "--beta", "1"});
  EXPECT_EQ(Run(arguments), kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("attune: --beta belongs to"));
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_EQ(fake_.call_count, 0);
}

TEST_F(JobCliTest, AWatchedJobThatSucceedsNamesItsVersions) {
  WatchEndsIn(v1::JOB_STATE_SUCCEEDED);
  std::vector<std::string> arguments = submit_;
  arguments.push_back("--watch");
  EXPECT_EQ(Run(arguments), kExitDone);
  EXPECT_EQ(out_.str(),
            "job-1 SUCCEEDED\n"
            "step 10/10  loss 0.2500\n"
            "job-1 made robust:1\n");
}

TEST_F(JobCliTest, AJobThatFailsReturnsThreeAndSaysWhy) {
  WatchEndsIn(v1::JOB_STATE_FAILED, "the loss is not finite");
  EXPECT_EQ(Run({"job", "watch", "job-1"}), kExitJobFailed);
  EXPECT_EQ(err_.str(),
            "attune: job-1 failed: the loss is not finite (JOB_FAILED)\n");
}

TEST_F(JobCliTest, AJobThatIsCancelledReturnsThree) {
  WatchEndsIn(v1::JOB_STATE_CANCELLED, "cancelled");
  EXPECT_EQ(Run({"job", "watch", "job-1"}), kExitJobFailed);
  EXPECT_EQ(err_.str(), "attune: job-1 was cancelled (JOB_CANCELLED)\n");
}

TEST_F(JobCliTest, AWatchInJsonIsOneObjectALine) {
  WatchEndsIn(v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(Run({"job", "watch", "job-1", "--output", "json"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("{\"cursor\":\"1\",\"job\":{"));
  EXPECT_EQ(Lines(), 1);
}

TEST_F(JobCliTest, MetricsAsCsvHaveEveryFieldOfEveryPage) {
  {
    absl::MutexLock lock(&fake_.mutex);
    for (int step = 1; step <= 3; ++step) {
      v1::MetricRow row;
      row.set_step(step);
      row.set_attempt(1);
      row.set_epoch(0.5 * step);
      if (step != 2) row.set_loss(1.0 / step);
      row.mutable_time()->set_seconds(1'700'000'000);
      fake_.metrics.push_back(row);
    }
  }
  EXPECT_EQ(Run({"job", "metrics", "job-1", "--csv"}), kExitDone);
  EXPECT_EQ(out_.str(),
            "step,attempt,time,epoch,loss,objective_loss,kl,"
            "preferred_log_ratio,rejected_log_ratio,margin,pair_accuracy,"
            "logit_scale,learning_rate,gradient_norm,examples_per_second\n"
            "1,1,2023-11-14T22:13:20.000Z,0.5,1,,,,,,,,,,\n"
            "2,1,2023-11-14T22:13:20.000Z,1,,,,,,,,,,,\n"
            "3,1,2023-11-14T22:13:20.000Z,1.5,0.3333333333333333,,,,,,,,,,\n");
  EXPECT_EQ(Run({"job", "metrics", "job-1"}), kExitDone);
  EXPECT_EQ(out_.str(),
            "STEP  EPOCH    LOSS\n"
            "   1    0.5       1\n"
            "   2      1\n"
            "   3    1.5  0.3333\n");
  EXPECT_EQ(Run({"job", "metrics", "job-1", "--output", "json"}), kExitDone);
  EXPECT_EQ(Lines(), 3);
  EXPECT_EQ(Run({"job", "metrics", "job-1", "--csv", "--output", "json"}),
            kExitUsage);
}

TEST_F(JobCliTest, ListShowAndCancel) {
  EXPECT_EQ(Run({"job", "list"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("job-1  QUEUED  dpo"));
  EXPECT_EQ(Run({"job", "show", "job-1"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("State:       QUEUED\n"));
  EXPECT_EQ(Run({"job", "cancel", "job-1"}), kExitDone);
  EXPECT_EQ(out_.str(), "job-1 CANCELLED\n");
}

TEST_F(JobCliTest, PauseAndResumePrintTheNewState) {
  EXPECT_EQ(Run({"job", "pause", "job-1"}), kExitDone);
  EXPECT_EQ(out_.str(), "job-1 PAUSED\n");
  EXPECT_EQ(Run({"job", "resume", "job-1"}), kExitDone);
  EXPECT_EQ(out_.str(), "job-1 QUEUED\n");
}

TEST_F(JobCliTest, RetryPrintsTheNewJob) {
  EXPECT_EQ(Run({"job", "retry", "job-1"}), kExitDone);
  EXPECT_EQ(out_.str(), "job-2\n");
  EXPECT_EQ(Run({"job", "retry", "job-1", "--output", "json"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("\"retry_of\":\"job-1\""));
  WatchEndsIn(v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(Run({"job", "retry", "job-1", "--watch"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("made robust:1"));
}

TEST_F(JobCliTest, EventsSayWhatAndWhyOverAllPages) {
  {
    absl::MutexLock lock(&fake_.mutex);
    for (const char* message : {"Created and queued", "Asked to pause"}) {
      v1::JobEvent event;
      event.set_number(static_cast<int64_t>(fake_.events.size()) + 1);
      event.set_attempt(1);
      event.set_message(message);
      fake_.events.push_back(event);
    }
  }
  EXPECT_EQ(Run({"job", "events", "job-1"}), kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("WHEN"));
  EXPECT_THAT(out_.str(), HasSubstr("1  Created and queued\n"));
  EXPECT_THAT(out_.str(), HasSubstr("1  Asked to pause\n"));
  EXPECT_EQ(Run({"job", "events", "job-1", "--output", "json"}), kExitDone);
  EXPECT_EQ(Lines(), 2);
}

TEST_F(JobCliTest, CheckpointsAreShownWithStepAttemptAndSize) {
  {
    absl::MutexLock lock(&fake_.mutex);
    for (const int step : {40, 20}) {
      v1::Checkpoint& checkpoint = fake_.checkpoints.emplace_back();
      checkpoint.set_step(step);
      checkpoint.set_attempt(2);
      checkpoint.set_size_bytes(3 << 20);
    }
  }
  EXPECT_EQ(Run({"job", "checkpoints", "job-1"}), kExitDone);
  EXPECT_THAT(out_.str(), ContainsRegex("40 +2 +3.0 MiB"));
  EXPECT_THAT(out_.str(), ContainsRegex("20 +2 +3.0 MiB"));
  EXPECT_EQ(Run({"job", "checkpoints", "job-1", "--output", "json"}),
            kExitDone);
  EXPECT_THAT(out_.str(), HasSubstr("\"checkpoints\":[{\"step\":\"40\""));
}

TEST_F(JobCliTest, EvaluatePrintsBothVersionsAndTheDifference) {
  WatchEndsIn(v1::JOB_STATE_SUCCEEDED);
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.evaluation.set_model("robust:1");
    fake_.evaluation.set_against("base:1");
    const auto add = [](v1::Figure* figure, double value) {
      figure->set_name("pair_accuracy");
      figure->set_value(value);
      figure->set_count(168);
    };
    add(fake_.evaluation.add_figures(), 0.75);
    add(fake_.evaluation.add_against_figures(), 0.5);
    v1::Figure& alone = *fake_.evaluation.add_figures();
    alone.set_name("clean_top1");
    alone.set_value(1);
    alone.set_count(3);
  }
  EXPECT_EQ(Run({"evaluate", "--dataset", "rta", "--model", "robust",
                 "--against", "base", "--template", "a {}."}),
            kExitDone);
  EXPECT_EQ(out_.str(),
            "FIGURE         robust:1  base:1  DIFFERENCE  COUNT\n"
            "pair_accuracy    0.7500  0.5000     +0.2500    168\n"
            "clean_top1       1.0000                          3\n");
  absl::MutexLock lock(&fake_.mutex);
  const v1::EvaluateSpec& spec = fake_.created_jobs.at(0).evaluate();
  EXPECT_EQ(spec.against(), "base");
  EXPECT_EQ(spec.templates(0), "a {}.");
}

// One figure of all examples and one of a class, compared.
v1::Evaluation ComparedEvaluation() {
  v1::Evaluation evaluation;
  evaluation.set_job_id("job-1");
  evaluation.set_dataset("rta");
  evaluation.set_model("robust:1");
  evaluation.set_against("base:1");
  const auto fill = [](v1::Figure* figure, double value, double low,
                       double high) {
    figure->set_name("clean_top1");
    figure->set_value(value);
    figure->set_count(8);
    figure->set_low(low);
    figure->set_high(high);
  };
  const auto add_all = [&](auto* model, auto* against, const char* label) {
    v1::FigureComparison& comparison = *evaluation.add_comparisons();
    fill(comparison.mutable_difference(), 0.25, 0, 0.5);
    comparison.set_only_model(2);
    comparison.set_p_value(0.5);
    v1::Figure* of_model = model->Add();
    fill(of_model, 0.75, 0.5, 1);
    v1::Figure* of_against = against->Add();
    fill(of_against, 0.5, 0.125, 0.875);
    for (v1::Figure* figure :
         {of_model, of_against, comparison.mutable_difference()}) {
      figure->set_class_label(label);
    }
  };
  add_all(evaluation.mutable_figures(), evaluation.mutable_against_figures(),
          "");
  add_all(evaluation.mutable_part_figures(),
          evaluation.mutable_against_part_figures(), "a \"dog\", small");
  v1::Figure& gap = *evaluation.add_part_figures();
  gap.set_name("skew_gap");
  gap.set_attribute("gender");
  gap.set_value(0.125);
  gap.set_count(16);
  v1::Figure& share = *evaluation.add_part_figures();
  share.set_name("skew_share");
  share.set_attribute("gender");
  share.set_group("man");
  share.set_candidate("a nurse");
  share.set_value(0.5);
  share.set_count(4);
  return evaluation;
}

TEST_F(JobCliTest, EvaluatePrintsIntervalsAndTablesWhereTheyAreAskedFor) {
  WatchEndsIn(v1::JOB_STATE_SUCCEEDED);
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.evaluation = ComparedEvaluation();
  }
  EXPECT_EQ(Run({"evaluate", "--dataset", "rta", "--model", "robust",
                 "--group-by", "gender", "--seed", "3"}),
            kExitDone);
  const std::string whole =
      "FIGURE              robust:1  95 %            base:1  95 %            "
      "DIFFERENCE  95 %                P  COUNT\n"
      "clean_top1            0.7500  [0.500, 1.000]  0.5000  [0.125, 0.875]  "
      "   +0.2500  [+0.000, +0.500]  0.5      8\n"
      "skew_gap by gender    0.1250                                          "
      "                                      16\n";
  EXPECT_EQ(out_.str(), whole);
  {
    absl::MutexLock lock(&fake_.mutex);
    EXPECT_EQ(fake_.created_jobs.at(0).evaluate().group_by(0), "gender");
    EXPECT_EQ(fake_.created_jobs.at(0).evaluate().seed(), 3);
  }
  out_.str("");
  EXPECT_EQ(Run({"evaluation", "show", "job-1", "--tables"}), kExitDone);
  EXPECT_EQ(out_.str(),
            whole +
                "\nBy class:\n"
                "CLASS           FIGURE      robust:1  95 %            base:1  "
                "95 %            DIFFERENCE  95 %                P  COUNT\n"
                "a \"dog\", small  clean_top1    0.7500  [0.500, 1.000]  0.5000"
                "  [0.125, 0.875]     +0.2500  [+0.000, +0.500]  0.5      8\n"
                "\nBy gender:\n"
                "GROUP  FIGURE      CANDIDATE  robust:1  COUNT\n"
                "man    skew_share  a nurse      0.5000      4\n");
}

TEST_F(JobCliTest, AnEvaluationAsCsvHasARowAFigure) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.evaluation = ComparedEvaluation();
  }
  EXPECT_EQ(Run({"evaluation", "show", "job-1", "--csv"}), kExitDone);
  EXPECT_EQ(
      out_.str(),
      "job_id,dataset,model,against,figure,class_label,attribute,group,"
      "candidate,count,value,low,high,against_value,against_low,against_high,"
      "difference,difference_low,difference_high,only_model,only_against,"
      "p_value,t\n"
      "job-1,rta,robust:1,base:1,clean_top1,,,,,8,0.75,0.5,1,0.5,0.125,0.875,"
      "0.25,0,0.5,2,0,0.5,\n"
      "job-1,rta,robust:1,base:1,clean_top1,\"a \"\"dog\"\", small\",,,,8,0.75,"
      "0.5,1,0.5,0.125,0.875,0.25,0,0.5,2,0,0.5,\n"
      "job-1,rta,robust:1,base:1,skew_gap,,gender,,,16,0.125,,,,,,,,,,,,\n"
      "job-1,rta,robust:1,base:1,skew_share,,gender,man,a nurse,4,0.5,,,,,,,,,"
      ",,,\n");
  EXPECT_EQ(Run({"--output", "json", "evaluation", "show", "job-1", "--csv"}),
            kExitUsage);
}

TEST_F(JobCliTest, EvaluationsAreListedWithTheirFigures) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.evaluation = ComparedEvaluation();
  }
  EXPECT_EQ(Run({"evaluation", "list", "--model", "robust"}), kExitDone);
  EXPECT_EQ(out_.str(),
            "JOB    MODEL     AGAINST  DATASET  CREATED  FIGURES\n"
            "job-1  robust:1  base:1   rta               clean_top1 0.7500\n");
}

// A version with a linear head, measured at one setting of its knob.
v1::Evaluation KnobEvaluation(const std::string& job, double t, double value) {
  v1::Evaluation evaluation;
  evaluation.set_job_id(job);
  evaluation.set_dataset("colours");
  evaluation.set_model("neutral:1");
  evaluation.set_t(t);
  v1::Figure& figure = *evaluation.add_figures();
  figure.set_name("pair_accuracy");
  figure.set_value(value);
  figure.set_count(8);
  figure.set_low(value - 0.125);
  figure.set_high(value + 0.125);
  return evaluation;
}

class KnobCliTest : public JobCliTest {
 protected:
  // Makes the next jobs, of t = -0.5 and onwards by 0.5, end in these states.
  void JobsEndIn(const std::vector<v1::JobState>& states) {
    absl::MutexLock lock(&fake_.mutex);
    for (size_t i = 0; i < states.size(); ++i) {
      const std::string id = absl::StrCat("job-", i + 1);
      const double t = 0.5 * static_cast<double>(i) - 0.5;
      fake_.job_ids.push_back(id);
      v1::WatchJobResponse response;
      response.set_cursor("1");
      response.mutable_job()->set_id(id);
      response.mutable_job()->set_state(states[i]);
      fake_.watches.push_back({{response}, absl::OkStatus()});
      fake_.evaluations[id] = KnobEvaluation(id, t, 0.75 - t / 4);
    }
  }

  ExitCode Sweep(std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "evaluate", "--dataset", "colours",     "--model",
        "neutral",  "--t-sweep", "-0.5:0.5:0.5"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(std::move(arguments));
  }
};

TEST_F(KnobCliTest, AKnobIsSentOnlyWhereItIsGiven) {
  WatchEndsIn(v1::JOB_STATE_SUCCEEDED);
  WatchEndsIn(v1::JOB_STATE_SUCCEEDED);
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.evaluation = KnobEvaluation("job-1", -0.5, 0.5);
  }
  EXPECT_EQ(Run({"evaluate", "--dataset", "colours", "--model", "neutral",
                 "--t", "-0.5"}),
            kExitDone);
  EXPECT_EQ(out_.str(),
            "FIGURE         neutral:1 t=-0.5  95 %            COUNT\n"
            "pair_accuracy            0.5000  [0.375, 0.625]      8\n");
  EXPECT_EQ(Run({"evaluate", "--dataset", "colours", "--model", "neutral"}),
            kExitDone);
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_EQ(fake_.created_jobs.at(0).evaluate().t(), -0.5);
  EXPECT_FALSE(fake_.created_jobs.at(1).evaluate().has_t());
}

TEST_F(KnobCliTest, ASweepMakesAJobForEverySettingAndPrintsTheCurve) {
  JobsEndIn({v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_SUCCEEDED,
             v1::JOB_STATE_SUCCEEDED});
  EXPECT_EQ(Sweep({}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(),
            "   T  PAIR_ACCURACY  95 %            JOB_ID\n"
            "-0.5         0.8750  [0.750, 1.000]  job-1\n"
            "   0         0.7500  [0.625, 0.875]  job-2\n"
            " 0.5         0.6250  [0.500, 0.750]  job-3\n");
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.created_jobs.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(fake_.created_jobs[i].evaluate().t(), 0.5 * i - 0.5);
    EXPECT_TRUE(fake_.created_jobs[i].evaluate().has_t());
    EXPECT_EQ(fake_.created_jobs[i].evaluate().model(), "neutral");
  }
}

TEST_F(KnobCliTest, ASweepsJsonHasALineForEverySettingAndItsCsvAColumn) {
  JobsEndIn({v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_SUCCEEDED,
             v1::JOB_STATE_SUCCEEDED});
  EXPECT_EQ(Sweep({"--output", "json"}), kExitDone);
  EXPECT_EQ(Lines(), 3);
  EXPECT_THAT(out_.str(), HasSubstr("\"t\":-0.5"));
  EXPECT_THAT(out_.str(), HasSubstr("\"t\":0}"));
  JobsEndIn({v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_SUCCEEDED,
             v1::JOB_STATE_SUCCEEDED});
  EXPECT_EQ(Sweep({"--csv"}), kExitDone);
  EXPECT_EQ(Lines(), 4);
  EXPECT_THAT(out_.str(),
              HasSubstr("job-3,colours,neutral:1,,pair_accuracy,,,,,8,0.625,"
                        "0.5,0.75,,,,,,,,,,0.5\n"));
}

TEST_F(KnobCliTest, ASweepWithAFailedJobPrintsTheOthersAndReturnsThree) {
  JobsEndIn(
      {v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_SUCCEEDED});
  EXPECT_EQ(Sweep({}), kExitJobFailed);
  EXPECT_EQ(Lines(), 3);
  EXPECT_THAT(err_.str(), HasSubstr("job-2 failed"));
}

TEST_F(KnobCliTest, ASweepThatIsRefusedCancelsWhatItHasMade) {
  JobsEndIn({v1::JOB_STATE_SUCCEEDED});
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.failures = {absl::OkStatus(), absl::InvalidArgumentError("no head")};
  }
  EXPECT_EQ(Sweep({}), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("no head"));
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.cancelled_ids, ElementsAre("job-1"));
}

TEST_F(KnobCliTest, WhatASweepCannotHaveIsAUsageError) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--t", "1"},
        {"--tables"},
        {"--csv", "--output", "json"}}) {
    EXPECT_EQ(Sweep(more), kExitUsage);
  }
  EXPECT_EQ(Run({"evaluate", "--dataset", "colours", "--model", "neutral",
                 "--t-sweep", "-1:1"}),
            kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("FIRST:LAST:STEP"));
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_EQ(fake_.call_count, 0);
}

TEST_F(JobCliTest, AnEvaluationThatFailsReturnsThree) {
  WatchEndsIn(v1::JOB_STATE_FAILED, "out of memory");
  EXPECT_EQ(Run({"evaluate", "--dataset", "rta", "--model", "robust"}),
            kExitJobFailed);
  EXPECT_EQ(out_.str(), "");
}

}  // namespace
}  // namespace attune::client
