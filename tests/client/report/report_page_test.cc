#include "client/report/report_page.h"

#include <regex>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/attack/test_pictures.h"

namespace attune::client {
namespace {

using testing::HasSubstr;
using testing::Not;

void AddFigure(const std::string& name, double value,
               google::protobuf::RepeatedPtrField<v1::Figure>* figures) {
  v1::Figure& figure = *figures->Add();
  figure.set_name(name);
  figure.set_value(value);
  figure.set_count(600);
}

Report MakeReport() {
  Report report;
  report.job.set_id("job-1");
  report.job.set_state(v1::JOB_STATE_SUCCEEDED);
  report.job.set_step(3);
  report.job.set_total_steps(3);
  report.job.set_attempt(1);
  report.job.set_config_digest("c0ffee");
  report.job.add_output_versions("robust:1");
  v1::TrainSpec& spec = *report.job.mutable_train();
  spec.set_dataset("typo");
  spec.set_base("base:1");
  spec.set_seed(42);
  spec.mutable_dpo()->set_beta(0.5);
  for (int step = 1; step <= 3; ++step) {
    v1::MetricRow& row = report.metrics.emplace_back();
    row.set_step(step);
    row.set_loss(1.0 / step);
    row.set_margin(step);
  }
  report.dataset.emplace();
  report.dataset->set_name("typo");
  report.dataset->set_digest("da7a");
  report.base.set_model("base");
  report.base.set_number(1);
  report.base.set_digest("ba5e");
  v1::Evaluation& evaluation = report.evaluations.emplace_back();
  evaluation.set_model("robust:1");
  evaluation.set_against("base:1");
  evaluation.set_dataset("typo-test");
  AddFigure("attacked_top1", 0.5, evaluation.mutable_figures());
  AddFigure("attacked_top1", 0.25, evaluation.mutable_against_figures());
  AddFigure("attack_success", 0.125, evaluation.mutable_figures());
  AddFigure("attack_success", 0.625, evaluation.mutable_against_figures());
  AddFigure("clean_top1", 0.75, evaluation.mutable_figures());
  AddFigure("clean_top1", 0.875, evaluation.mutable_against_figures());
  report.changes.emplace();
  report.changes->dataset = "typo-test";
  report.changes->asked_count = 100;
  report.changes->gained_count = 7;
  report.changes->lost_count = 1;
  report.changes->gained.push_back(
      {.image = *image::EncodePng(GreyPicture(4, 4)),
       .truth = "a photo of a dog.",
       .written = "a photo of a cat.",
       .before = {"a photo of a cat.", 0.875},
       .after = {"a photo of a dog.", 0.75}});
  report.attacks.push_back({.attacked = *image::EncodePng(GreyPicture(4, 4)),
                            .clean = *image::EncodePng(GreyPicture(4, 4)),
                            .preferred = "a photo of a <dog>.",
                            .rejected = "a photo of a cat."});
  return report;
}

std::string Render(const Report& report) {
  return RenderReport(report, absl::FromUnixSeconds(1'700'000'000));
}

TEST(ReportPage, ShowsTheFiguresBeforeAndAfter) {
  const std::string page = Render(MakeReport());
  EXPECT_THAT(page, HasSubstr("robust:1 on typo-test"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\">attack success</th>\n"
                              "<td class=\"number\"><span class=\"\">62.5 %"));
  EXPECT_THAT(page, HasSubstr("<span class=\"good\">-50.0</span>"));
  EXPECT_THAT(page, HasSubstr("<span class=\"bad\">-12.5</span>"));
  EXPECT_THAT(page, HasSubstr("aria-label=\"clean top-1 75.0 %, before 87.5 "
                              "%\""));
}

TEST(ReportPage, ItsTilesAreOfTheEvaluationOnAttackedPictures) {
  Report report = MakeReport();
  v1::Evaluation clean;
  clean.set_model("robust:1");
  clean.set_dataset("photos");
  AddFigure("clean_top1", 0.9375, clean.mutable_figures());
  report.evaluations.insert(report.evaluations.begin(), clean);
  const std::string tile =
      "<div class=\"name\">attacked top-1</div>\n"
      "<div class=\"value\">50.0 %</div>";
  EXPECT_THAT(Render(report), HasSubstr(tile));
  // Without any, of the first.
  report.evaluations.resize(1);
  EXPECT_THAT(Render(report), HasSubstr("<div class=\"value\">93.8 %</div>"));
}

TEST(ReportPage, ShowsIntervalsAndTestsWhereTheEvaluationHasThem) {
  Report report = MakeReport();
  v1::Evaluation& evaluation = report.evaluations[0];
  evaluation.mutable_figures(0)->set_low(0.4375);
  evaluation.mutable_figures(0)->set_high(0.5625);
  v1::FigureComparison& part = *evaluation.add_comparisons();
  part.mutable_difference()->set_name("attacked_top1");
  part.mutable_difference()->set_class_label("a photo of a dog.");
  part.set_p_value(0.75);
  v1::FigureComparison& comparison = *evaluation.add_comparisons();
  comparison.mutable_difference()->set_name("attacked_top1");
  comparison.mutable_difference()->set_low(0.125);
  comparison.mutable_difference()->set_high(0.375);
  comparison.set_p_value(0.0625);
  const std::string page = Render(report);
  EXPECT_THAT(page, HasSubstr(">43.8 to 56.2</span>"));
  EXPECT_THAT(page, HasSubstr(">12.5 to 37.5, p = 0.062</span>"));
  EXPECT_THAT(page, Not(HasSubstr("0.750")));
}

TEST(ReportPage, ShowsTheCurvesThatTheJobHas) {
  const std::string page = Render(MakeReport());
  EXPECT_THAT(page, HasSubstr("<h3>Loss</h3>"));
  EXPECT_THAT(page, HasSubstr("<h3>Margin</h3>"));
  EXPECT_THAT(page, Not(HasSubstr("<h3>KL to the reference</h3>")));
}

TEST(ReportPage, ShowsWhichPicturesChanged) {
  const std::string page = Render(MakeReport());
  EXPECT_THAT(page, HasSubstr("asked about 100 pictures of typo-test"));
  EXPECT_THAT(page, HasSubstr("Right only after: 7"));
  EXPECT_THAT(page, HasSubstr("Right only before: 1"));
  EXPECT_THAT(page, HasSubstr("a photo of a cat. (88 %)"));
  Report report = MakeReport();
  report.changes.reset();
  report.why_no_changes = "no worker answers";
  EXPECT_THAT(Render(report), HasSubstr("None: no worker answers."));
}

TEST(ReportPage, ShowsTheLineage) {
  const std::string page = Render(MakeReport());
  for (const char* part : {"job-1", "c0ffee", "da7a", "ba5e", ">42<",
                           "&quot;beta&quot;: 0.5", "2023-11-14 22:13 UTC"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
}

TEST(ReportPage, TextsAreEscaped) {
  EXPECT_THAT(Render(MakeReport()), HasSubstr("a photo of a &lt;dog&gt;."));
  EXPECT_THAT(Render(MakeReport()), Not(HasSubstr("<dog>")));
}

TEST(ReportPage, LoadsNothing) {
  const std::string page = Render(MakeReport());
  EXPECT_THAT(page, HasSubstr("default-src &#39;none&#39;"));
  EXPECT_THAT(page, Not(HasSubstr("http://")));
  EXPECT_THAT(page, Not(HasSubstr("https://")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  // What is referred to is in the page.
  const std::regex reference("(src|href)=\"([^\"]*)\"");
  for (std::sregex_iterator found(page.begin(), page.end(), reference), end;
       found != end; ++found) {
    EXPECT_EQ((*found)[2].str().substr(0, 5), "data:");
  }
}

TEST(ReportPage, EveryPictureHasAText) {
  const std::string page = Render(MakeReport());
  const std::regex image("<img ([^>]*)>");
  int count = 0;
  for (std::sregex_iterator found(page.begin(), page.end(), image), end;
       found != end; ++found, ++count) {
    EXPECT_THAT((*found)[1].str(), HasSubstr("a photo of a "));
  }
  EXPECT_EQ(count, 3);
}

TEST(ReportPage, AJobThatFailedSaysSo) {
  Report report = MakeReport();
  report.job.set_state(v1::JOB_STATE_FAILED);
  report.job.set_status_message("the loss is not finite");
  report.job.clear_output_versions();
  report.versions.clear();
  report.metrics.clear();
  report.evaluations.clear();
  const std::string page = Render(report);
  EXPECT_THAT(page, HasSubstr("The job is FAILED: the loss is not finite"));
  EXPECT_THAT(page, HasSubstr("has not reported any step"));
  EXPECT_THAT(page, HasSubstr("have not been evaluated"));
}

}  // namespace
}  // namespace attune::client
