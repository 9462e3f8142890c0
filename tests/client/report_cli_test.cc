// `attune report` against a server that answers what the test says.

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "client/examples_file.h"
#include "client/report/report_command.h"
#include "client/report/report_data.h"
#include "gmock/gmock.h"
#include "tests/client/attack/test_pictures.h"
#include "tests/client/cli_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kDog[] = "a photo of a dog.";
constexpr char kCat[] = "a photo of a cat.";

class ReportCli : public CliTest {
 protected:
  ReportCli() {
    commands_.push_back(AddReportCommand);
    absl::MutexLock lock(&fake_.mutex);
    fake_.job.set_id("job-1");
    fake_.job.set_state(v1::JOB_STATE_SUCCEEDED);
    fake_.job.add_output_versions("robust:1");
    fake_.job.mutable_train()->set_dataset("typo");
    fake_.job.mutable_train()->set_base("base:1");
    fake_.job.mutable_train()->set_eval_dataset("test");
    fake_.version.set_model("robust");
    fake_.version.set_number(1);
    for (const char* name : {"typo", "test"}) {
      v1::Dataset& dataset = fake_.datasets[name];
      dataset.set_name(name);
      dataset.set_labelled_count(100);
      dataset.add_candidates(kDog);
      dataset.add_candidates(kCat);
    }
    // 100 pictures of dogs with the word cat: from the third on, every fourth
    // is right only after, every fifth only before, the others both times.
    for (int i = 0; i < 100; ++i) {
      v1::Example& example = fake_.examples.emplace_back();
      example.set_image(
          *image::EncodePng(GreyPicture(4, 4, static_cast<uint8_t>(i))));
      example.mutable_labelled()->set_label(kDog);
      example.mutable_labelled()->set_attack(kCat);
      FakeServer::Comparison& comparison = fake_.comparisons[example.image()];
      SetAnswer(i % 5 != 3, i, &comparison.answer);
      SetAnswer(i % 4 != 2, i, &comparison.against_answer);
    }
  }

  static void SetAnswer(bool right, int percent, v1::LabelScore* score) {
    score->set_label(right ? kDog : kCat);
    score->set_probability(static_cast<float>(percent) / 100);
  }

  absl::StatusOr<Report> Collect(int64_t pictures) {
    ClientOptions options;
    options.server = fake_.address();
    AttuneClient client(options);
    ReportOptions report;
    report.job_id = "job-1";
    report.pictures = pictures;
    return CollectReport(client, report, [](int64_t, int64_t) {});
  }

  // Leaves these answers out of the counts.
  void ForgetAnswer(int index) {
    absl::MutexLock lock(&fake_.mutex);
    fake_.comparisons.erase(fake_.examples[static_cast<size_t>(index)].image());
  }
};

TEST_F(ReportCli, PicturesThatChangedTheirAnswerAreFoundBothWays) {
  int gained = 0, lost = 0;
  for (int i = 0; i < 100; ++i) {
    const bool was = i % 4 != 2, is = i % 5 != 3;
    gained += is && !was;
    lost += was && !is;
  }
  const auto report = Collect(1'000);
  ASSERT_THAT(report, test::IsOk());
  ASSERT_TRUE(report->changes.has_value()) << report->why_no_changes;
  EXPECT_EQ(report->changes->asked_count, 100);
  EXPECT_EQ(report->changes->gained_count, gained);
  EXPECT_EQ(report->changes->lost_count, lost);
  // The surest first: the last ones of the dataset.
  ASSERT_EQ(report->changes->gained.size(), 12u);
  EXPECT_EQ(report->changes->gained[0].after.text, kDog);
  EXPECT_EQ(report->changes->gained[0].before.text, kCat);
  EXPECT_FLOAT_EQ(report->changes->gained[0].after.probability, 0.94f);
  EXPECT_FLOAT_EQ(report->changes->lost[0].after.probability, 0.93f);

  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.compare_requests.size(), 2u);
  EXPECT_EQ(fake_.compare_requests[0].images_size(), 64);
  EXPECT_EQ(fake_.compare_requests[0].version(), "robust:1");
  EXPECT_EQ(fake_.compare_requests[0].against(), "base:1");
  EXPECT_EQ(fake_.compare_requests[0].labels_size(), 2);
}

TEST_F(ReportCli, ASampleIsTakenEvenly) {
  const auto report = Collect(10);
  ASSERT_THAT(report, test::IsOk());
  EXPECT_EQ(report->changes->asked_count, 10);
  absl::MutexLock lock(&fake_.mutex);
  ASSERT_EQ(fake_.compare_requests.size(), 1u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(fake_.compare_requests[0].images(i),
              fake_.examples[static_cast<size_t>(10 * i)].image());
  }
}

TEST_F(ReportCli, APictureThatCannotBeAnsweredIsNotCounted) {
  ForgetAnswer(0);
  const auto report = Collect(1'000);
  ASSERT_THAT(report, test::IsOk());
  EXPECT_EQ(report->changes->asked_count, 99);
}

TEST_F(ReportCli, EvaluationsOfOtherSettingsAreNotMixed) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.job.add_output_versions("robust:2");
    fake_.other_jobs["job-7"].mutable_evaluate();
    fake_.other_jobs["job-8"].mutable_evaluate();
    fake_.other_jobs["job-9"].mutable_evaluate()->add_templates("a {}");
    const auto add = [&](const char* job, const char* model,
                         const char* dataset, const char* against,
                         int64_t time) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      v1::Evaluation& evaluation =
          fake_.evaluations[std::to_string(fake_.evaluations.size())];
      evaluation.set_job_id(job);
      evaluation.set_model(model);
      evaluation.set_dataset(dataset);
      evaluation.set_against(against);
      evaluation.mutable_create_time()->set_seconds(time);
    };
    // Newest first. The job's own, and one with templates.
    add("job-9", "robust:1", "test", "base:1", 300);
    add("job-1", "robust:1", "test", "base:1", 100);
    add("job-1", "robust:2", "test", "base:1", 100);
    // Beside another version, and beside the base.
    add("job-7", "robust:2", "photos", "base:9", 200);
    add("job-8", "robust:1", "photos", "base:1", 150);
  }
  const auto report = Collect(0);
  ASSERT_THAT(report, test::IsOk());
  std::vector<std::string> shown;
  for (const v1::Evaluation& evaluation : report->evaluations) {
    shown.push_back(absl::StrCat(evaluation.job_id(), " ", evaluation.model(),
                                 " ", evaluation.dataset()));
  }
  EXPECT_THAT(shown, ElementsAre("job-1 robust:1 test", "job-1 robust:2 test",
                                 "job-7 robust:2 photos"));
}

TEST_F(ReportCli, AKnobsCurveIsOfEvaluationsAskedForAlike) {
  {
    absl::MutexLock lock(&fake_.mutex);
    for (int i = 0; i < 4; ++i) {
      const std::string job = absl::StrCat("job-", 2 + i);
      v1::EvaluateSpec& spec = *fake_.other_jobs[job].mutable_evaluate();
      spec.set_t(i);
      if (i >= 2) spec.add_templates("a {}");
      v1::Evaluation& evaluation = fake_.evaluations[job];
      evaluation.set_job_id(job);
      evaluation.set_model("robust:1");
      evaluation.set_dataset("test");
      evaluation.set_t(i);
    }
  }
  const auto report = Collect(0);
  ASSERT_THAT(report, test::IsOk());
  ASSERT_EQ(report->knob_curves.size(), 2u);
  EXPECT_EQ(report->knob_curves[0].title, "robust:1 on test");
  ASSERT_EQ(report->knob_curves[0].points.size(), 2u);
  EXPECT_EQ(report->knob_curves[0].points[1].t, 1);
  EXPECT_EQ(report->knob_curves[1].title, "robust:1 on test, as \"a {}\"");
  ASSERT_EQ(report->knob_curves[1].points.size(), 2u);
  EXPECT_EQ(report->knob_curves[1].points[0].t, 2);
}

TEST_F(ReportCli, WritesAPage) {
  const std::string path = folder_.File("report.html");
  EXPECT_EQ(Run({"report", "job-1", "-o", path}), kExitDone) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("wrote " + path));
  const auto page = ReadFile(path);
  ASSERT_THAT(page, test::IsOk());
  EXPECT_THAT(*page, HasSubstr("asked about 100 pictures of test"));
  EXPECT_THAT(*page, HasSubstr("</html>"));
}

TEST_F(ReportCli, WithoutADatasetToAskAboutThePageSaysWhy) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.datasets.clear();
  }
  const std::string path = folder_.File("report.html");
  EXPECT_EQ(Run({"report", "job-1", "-o", path}), kExitDone) << err_.str();
  const auto page = ReadFile(path);
  ASSERT_THAT(page, test::IsOk());
  EXPECT_THAT(*page, HasSubstr("name one with --dataset"));
  EXPECT_THAT(*page, HasSubstr("typo (deleted)"));
}

TEST_F(ReportCli, AnEvaluationJobIsRefusedAndNothingWritten) {
  {
    absl::MutexLock lock(&fake_.mutex);
    fake_.job.mutable_evaluate();
  }
  const std::string path = folder_.File("report.html");
  EXPECT_EQ(Run({"report", "job-1", "-o", path}), kExitFailed);
  EXPECT_THAT(err_.str(), HasSubstr("(NOT_A_TRAINING_JOB)"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace attune::client
