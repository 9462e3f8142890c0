// `attune job sweep` against a server that answers what the test says.

#include "client/commands/cli.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli_fixture.h"

namespace attune::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SweepCliTest : public CliTest {
 protected:
  // Makes the next jobs end in these states, each that succeeds with an
  // evaluation of its own.
  void JobsEndIn(const std::vector<v1::JobState>& states) {
    absl::MutexLock lock(&fake_.mutex);
    int number = 0;
    for (v1::JobState state : states) {
      const std::string id = "job-" + std::to_string(++number);
      fake_.job_ids.push_back(id);
      v1::WatchJobResponse response;
      response.set_cursor("1");
      response.mutable_job()->set_id(id);
      response.mutable_job()->set_state(state);
      fake_.watches.push_back({{response}, absl::OkStatus()});
      v1::Evaluation& evaluation = fake_.evaluations[id];
      evaluation.set_model("robust-" + std::to_string(number) + ":1");
      evaluation.set_against("base:1");
      Add("attacked_top1", 0.25 * number, evaluation.mutable_figures());
      Add("clean_top1", 0.5, evaluation.mutable_figures());
      Add("attacked_top1", 0, evaluation.mutable_against_figures());
      Add("clean_top1", 0.75, evaluation.mutable_against_figures());
    }
  }

  static void Add(const std::string& name, double value,
                  google::protobuf::RepeatedPtrField<v1::Figure>* figures) {
    v1::Figure& figure = *figures->Add();
    figure.set_name(name);
    figure.set_value(value);
    figure.set_count(8);
  }

  ExitCode Sweep(std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        "job",    "sweep",   "--dataset", "typo",           "--eval-dataset",
        "test",   "--model", "base",      "--output-model", "robust",
        "--beta", "0.1,1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(std::move(arguments));
  }
};

TEST_F(SweepCliTest, AllJobsAreQueuedAndComparedWithTheBase) {
  JobsEndIn({v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_SUCCEEDED});
  EXPECT_EQ(Sweep({}), kExitDone) << err_.str();
  EXPECT_EQ(out_.str(),
            "BETA  JOB_ID  VERSION     STATE      ATTACKED_TOP1  CLEAN_TOP1  "
            "FRONT\n"
            "              base:1                        0.0000      0.7500  "
            "*\n"
            " 0.1  job-1   robust-1:1  SUCCEEDED         0.2500      0.5000\n"
            "   1  job-2   robust-2:1  SUCCEEDED         0.5000      0.5000  "
            "*\n");
  EXPECT_THAT(err_.str(), HasSubstr("2 of 2: beta 1\n"));
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.created_jobs.size(), 2u);
  EXPECT_EQ(fake_.created_jobs[0].train().output_model(), "robust-1");
  EXPECT_EQ(fake_.created_jobs[0].train().dpo().beta(), 0.1);
  EXPECT_EQ(fake_.created_jobs[1].train().dpo().beta(), 1);
}

TEST_F(SweepCliTest, AJobThatFailsLeavesTheOthersAndReturnsThree) {
  JobsEndIn({v1::JOB_STATE_FAILED, v1::JOB_STATE_SUCCEEDED});
  EXPECT_EQ(Sweep({"--csv"}), kExitJobFailed);
  EXPECT_EQ(out_.str(),
            "beta,job_id,version,state,attacked_top1,clean_top1,on_front\n"
            ",,base:1,,0.0,0.75,true\n"
            "0.1,job-1,,FAILED,,,false\n"
            "1,job-2,robust-2:1,SUCCEEDED,0.5,0.5,true\n");
}

TEST_F(SweepCliTest, AJobThatIsRefusedCancelsThoseBeforeIt) {
  JobsEndIn({v1::JOB_STATE_SUCCEEDED});
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.failures = {absl::OkStatus(),
                      absl::InvalidArgumentError("beta must be above 0")};
  }
  EXPECT_EQ(Sweep({}), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("beta must be above 0"));
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_THAT(fake_.cancelled_ids, ElementsAre("job-1"));
}

TEST_F(SweepCliTest, TheVersionsAreComparedOnADatasetThatMustBeGiven) {
  EXPECT_EQ(Run({"job", "sweep", "--dataset", "typo", "--model", "base",
                 "--output-model", "robust", "--beta", "0.1,1"}),
            kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("--eval-dataset"));
  absl::MutexLock lock(&fake_.mutex);
  EXPECT_EQ(fake_.call_count, 0);
}

}  // namespace
}  // namespace attune::client
