#include "client/commands/job_progress.h"

#include <sstream>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

v1::Job JobIn(v1::JobState state, int64_t total_steps = 0) {
  v1::Job job;
  job.set_id("job-1");
  job.set_state(state);
  job.mutable_train()->mutable_dpo();
  job.set_total_steps(total_steps);
  return job;
}

v1::MetricRow Row(int64_t step) {
  v1::MetricRow row;
  row.set_step(step);
  row.mutable_time()->set_seconds(1'700'000'000 + 2 * step);
  row.set_loss(0.5);
  row.set_margin(0);
  row.set_examples_per_second(1234.5);
  return row;
}

class JobProgressTest : public ::testing::Test {
 protected:
  void Update(const v1::Job& job, std::vector<int64_t> steps = {},
              const std::string& event = "", int attempt = 1) {
    v1::WatchJobResponse message;
    *message.mutable_job() = job;
    for (int64_t step : steps) {
      *message.add_metrics() = Row(step);
      message.mutable_metrics()->rbegin()->set_attempt(attempt);
    }
    if (!event.empty()) message.add_events()->set_message(event);
    progress_.Update(message);
  }

  std::vector<std::string> Lines() {
    return absl::StrSplit(out_.str(), '\n', absl::SkipEmpty());
  }

  std::ostringstream out_;
  ProgressLine line_{out_, /*terminal=*/false, 120};
  JobProgress progress_{line_};
};

TEST_F(JobProgressTest, StatesAppearOnceAndSayWhyTheJobWaits) {
  v1::Job queued = JobIn(v1::JOB_STATE_QUEUED);
  queued.set_status_message("no worker");
  Update(queued);
  Update(queued);
  Update(JobIn(v1::JOB_STATE_RUNNING), {}, "attempt 1 began");
  EXPECT_THAT(Lines(), ElementsAre("job-1 QUEUED: no worker", "job-1 RUNNING",
                                   "  attempt 1 began"));
}

TEST_F(JobProgressTest, APlainRunHasAboutTwentyLinesAndTheLastStep) {
  const v1::Job job = JobIn(v1::JOB_STATE_RUNNING, 1000);
  for (int64_t step = 1; step <= 1000; ++step) Update(job, {step});
  const std::vector<std::string> lines = Lines();
  EXPECT_GE(lines.size(), 20u);
  EXPECT_LE(lines.size(), 24u);
  EXPECT_EQ(lines[1], "step 1/1000  loss 0.5000  margin 0.0000  1234 pairs/s");
  // 2 s a step by the rows' own times.
  EXPECT_EQ(
      lines[2],
      "step 51/1000  loss 0.5000  margin 0.0000  1234 pairs/s  31m38s left");
  EXPECT_THAT(lines.back(), HasSubstr("step 1000/1000"));
  EXPECT_THAT(lines.back(), Not(HasSubstr("left")));
}

TEST_F(JobProgressTest, AnotherAttemptIsShownAtOnceAndTimedAnew) {
  const v1::Job job = JobIn(v1::JOB_STATE_RUNNING, 100);
  Update(job, {39, 40});
  Update(job, {31}, "", 2);
  EXPECT_THAT(Lines().back(), HasSubstr("step 31/100"));
  EXPECT_THAT(Lines().back(), Not(HasSubstr("left")));
}

TEST_F(JobProgressTest, RowsAndEventsAreInTheOrderOfTheirTimes) {
  v1::WatchJobResponse message;
  *message.mutable_job() = JobIn(v1::JOB_STATE_RUNNING, 2);
  const auto add_event = [&](int64_t after_step, const char* text) {
    v1::JobEvent& event = *message.add_events();
    *event.mutable_time() = Row(after_step).time();
    event.mutable_time()->set_nanos(500'000'000);
    event.set_message(text);
  };
  add_event(0, "Attempt 1 begins");
  add_event(1, "Step 1: no better");
  add_event(2, "Step 2: the best");
  *message.add_metrics() = Row(1);
  *message.add_metrics() = Row(2);
  progress_.Update(message);
  EXPECT_THAT(Lines(),
              ElementsAre("job-1 RUNNING", "  Attempt 1 begins",
                          HasSubstr("step 1/2"), "  Step 1: no better",
                          HasSubstr("step 2/2"), "  Step 2: the best"));
}

TEST(JobProgressOnATerminal, RowsAreDrawnInPlaceAndOnceAMessage) {
  std::ostringstream out;
  ProgressLine line(out, /*terminal=*/true, 120);
  JobProgress progress(line);
  v1::WatchJobResponse message;
  *message.mutable_job() = JobIn(v1::JOB_STATE_RUNNING, 4);
  *message.add_metrics() = Row(1);
  *message.add_metrics() = Row(2);
  progress.Update(message);
  EXPECT_EQ(out.str(),
            "job-1 RUNNING\n"
            "\r\x1b[K 50% [============>           ] step 2/4  loss 0.5000  "
            "margin 0.0000  1234 pairs/s  4s left");
}

TEST(DescribeRow, WhatARowDoesNotHaveIsLeftOut) {
  v1::MetricRow row;
  row.set_step(3);
  EXPECT_EQ(DescribeRow(row, 0, true), "step 3");
  row.set_loss(1.25);
  row.set_pair_accuracy(0.75);
  row.set_examples_per_second(10);
  EXPECT_EQ(DescribeRow(row, 9, false),
            "step 3/9  loss 1.2500  accuracy 0.750  10 images/s");
}

}  // namespace
}  // namespace attune::client
