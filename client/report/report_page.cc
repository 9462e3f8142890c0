#include "client/report/report_page.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/table.h"
#include "client/report/chart.h"
#include "client/report/figures_section.h"
#include "client/report/html.h"
#include "client/report/knob_section.h"
#include "client/report/lineage_section.h"
#include "client/report/pictures_section.h"
#include "client/report/report_style.h"

namespace attune::client {
namespace {

using google::protobuf::FieldDescriptor;

// What the curves are drawn from.
struct Curve {
  const char* title;
  const char* note;
  // Field of MetricRow and what it is called.
  std::vector<std::pair<const char*, const char*>> series;
};

const std::vector<Curve>& Curves() {
  static const auto& curves = *new std::vector<Curve>{
      {"Loss",
       "What is minimised: the objective plus the weighted KL.",
       {{"loss", "loss"}, {"objective_loss", "objective"}}},
      {"Log-ratios to the reference",
       "How much likelier the preferred (a) and the rejected text (b) have "
       "become; both may fall.",
       {{"preferred_log_ratio", "a"}, {"rejected_log_ratio", "b"}}},
      {"Margin", "h = a − b: what the preference gains.", {{"margin", "h"}}},
      {"Pair accuracy",
       "Share of the batch whose preferred text is the likelier one.",
       {{"pair_accuracy", "share"}}},
      {"KL to the reference",
       "How far the answers on clean pictures have moved, in nats.",
       {{"kl", "KL"}}},
      {"Logit scale",
       "s, the inverse temperature of the probabilities.",
       {{"logit_scale", "s"}}},
      {"Learning rate", "", {{"learning_rate", "rate"}}},
      {"Gradient norm", "", {{"gradient_norm", "norm"}}},
  };
  return curves;
}

Chart MakeChart(const Curve& curve, const std::vector<v1::MetricRow>& rows) {
  Chart chart;
  chart.title = curve.title;
  chart.note = curve.note;
  const google::protobuf::Reflection& reflection =
      *v1::MetricRow::GetReflection();
  for (const auto& [field_name, name] : curve.series) {
    const FieldDescriptor* const field =
        v1::MetricRow::descriptor()->FindFieldByName(field_name);
    ChartSeries series = {.name = name, .points = {}};
    for (const v1::MetricRow& row : rows) {
      if (!reflection.HasField(row, field)) continue;
      series.points.emplace_back(static_cast<double>(row.step()),
                                 reflection.GetDouble(row, field));
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  // Without a KL term the objective is the loss.
  if (chart.series.size() == 2 &&
      chart.series[0].points == chart.series[1].points) {
    chart.series.pop_back();
  }
  return chart;
}

void WriteCurves(const Report& report, HtmlWriter& html) {
  html.Element("h2", "Training");
  if (report.metrics.empty()) {
    html.Element("p", "The job has not reported any step.");
    return;
  }
  html.Open("div", {{"class", "charts"}});
  for (const Curve& curve : Curves()) {
    const Chart chart = MakeChart(curve, report.metrics);
    if (!chart.series.empty()) WriteChart(chart, html);
  }
  html.Close();
}

void WriteHead(const std::string& title, HtmlWriter& html) {
  html.Raw("<!doctype html>\n");
  html.Open("html", {{"lang", "en"}});
  html.Open("head");
  html.Empty("meta", {{"charset", "utf-8"}});
  html.Empty("meta", {{"name", "viewport"},
                      {"content", "width=device-width, initial-scale=1"}});
  html.Empty("meta", {{"http-equiv", "Content-Security-Policy"},
                      {"content",
                       "default-src 'none'; img-src data:; style-src "
                       "'unsafe-inline'"}});
  // An icon of its own, so that the browser asks for none.
  html.Empty("link", {{"rel", "icon"}, {"href", "data:,"}});
  html.Element("title", title);
  html.Open("style");
  html.Raw(kReportStyle);
  html.Close();
  html.Close();
}

// "DPO on typo, from base:1".
std::string Subtitle(const Report& report) {
  const v1::TrainSpec& spec = report.job.train();
  return absl::StrCat(
      "Trained on ", spec.dataset(), " from ", spec.base(),
      report.job.total_steps() > 0
          ? absl::StrCat(", ", FormatCount(report.job.step()), " of ",
                         FormatCount(report.job.total_steps()), " steps")
          : "");
}

}  // namespace

std::string RenderReport(const Report& report, absl::Time made_at) {
  const v1::Job& job = report.job;
  const std::string made = job.output_versions().empty()
                               ? job.train().output_model()
                               : absl::StrJoin(job.output_versions(), " and ");
  HtmlWriter html;
  WriteHead(absl::StrCat("Attune: ", made), html);
  html.Open("body");
  html.Open("main");
  html.Open("header");
  html.Element("h1", made);
  html.Element("p", Subtitle(report), {{"class", "sub"}});
  if (job.state() != v1::JOB_STATE_SUCCEEDED) {
    html.Element(
        "p",
        absl::StrCat(
            "The job is ",
            WithoutPrefix("JOB_STATE_", v1::JobState_Name(job.state())),
            job.status_message().empty() ? "" : ": ", job.status_message()),
        {{"class", "bad"}});
  }
  html.Close();
  WriteTiles(report, html);
  WriteFigures(report, html);
  WriteKnobCurves(report.knob_curves, html);
  WriteCurves(report, html);
  WriteChangedPictures(report, html);
  WriteAttacks(report, html);
  WriteLineage(report, html);
  html.Element("footer",
               absl::StrCat("Made by attune report ", job.id(), " on ",
                            absl::FormatTime("%Y-%m-%d %H:%M UTC", made_at,
                                             absl::UTCTimeZone()),
                            "."));
  html.Close();
  html.Close();
  html.Close();
  return html.html();
}

}  // namespace attune::client
