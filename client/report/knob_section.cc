#include "client/report/knob_section.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/table.h"
#include "client/report/chart.h"
#include "client/report/figures_section.h"

namespace attune::client {
namespace {

// Evaluations of one version on one dataset by their t.
using ByKnob = std::map<double, const v1::Evaluation*>;

KnobCurve MakeCurve(std::string title, const ByKnob& evaluations) {
  KnobCurve curve = {.title = std::move(title), .figures = {}, .points = {}};
  // Where a figure stands in the curve.
  std::map<std::string, size_t> columns;
  for (const auto& [t, evaluation] : evaluations) {
    for (const v1::Figure& figure : evaluation->figures()) {
      if (!columns.try_emplace(figure.name(), columns.size()).second) continue;
      curve.figures.push_back({.name = FigureTitle(figure.name())});
    }
  }
  for (const auto& [t, evaluation] : evaluations) {
    KnobPoint point = {.t = t, .values = {}};
    point.values.resize(columns.size());
    for (const v1::Figure& figure : evaluation->figures()) {
      point.values[columns.at(figure.name())] = figure.value();
    }
    curve.points.push_back(std::move(point));
  }
  return curve;
}

void WriteCharts(const KnobCurve& curve, HtmlWriter& html) {
  html.Open("div", {{"class", "charts"}});
  for (size_t i = 0; i < curve.figures.size(); ++i) {
    const KnobFigure& figure = curve.figures[i];
    ChartSeries series = {.name = figure.name, .points = {}};
    for (const KnobPoint& point : curve.points) {
      if (!point.values[i]) continue;
      series.points.emplace_back(
          point.t, *point.values[i] * (figure.is_share ? 100 : 1));
    }
    Chart chart;
    chart.title = absl::StrCat(figure.name, figure.is_share ? ", %" : "");
    chart.axis = "t";
    chart.series.push_back(std::move(series));
    WriteChart(chart, html);
  }
  html.Close();
}

void WriteTable(const KnobCurve& curve, HtmlWriter& html) {
  html.Open("div", {{"class", "scroll"}});
  html.Open("table", {{"class", "wide"}});
  html.Element("caption", curve.title);
  html.Open("thead");
  html.Open("tr");
  html.Element("th", "t", {{"scope", "col"}, {"class", "number"}});
  for (const KnobFigure& figure : curve.figures) {
    html.Element("th", figure.name, {{"scope", "col"}, {"class", "number"}});
  }
  html.Close();
  html.Close();
  html.Open("tbody");
  for (const KnobPoint& point : curve.points) {
    html.Open("tr");
    html.Element("th", FormatNumber(point.t),
                 {{"scope", "row"}, {"class", "number"}});
    for (size_t i = 0; i < curve.figures.size(); ++i) {
      const std::optional<double>& value = point.values[i];
      html.Element("td",
                   !value ? ""
                   : curve.figures[i].is_share
                       ? absl::StrFormat("%.1f %%", 100 * *value)
                       : FormatNumber(*value),
                   {{"class", "number"}});
    }
    html.Close();
  }
  html.Close();
  html.Close();
  html.Close();
}

}  // namespace

std::vector<KnobCurve> KnobCurves(
    const std::vector<v1::Evaluation>& evaluations) {
  std::vector<std::pair<std::string, ByKnob>> curves;
  for (const v1::Evaluation& evaluation : evaluations) {
    if (!evaluation.has_t()) continue;
    const std::string title =
        absl::StrCat(evaluation.model(), " on ", evaluation.dataset());
    auto curve =
        std::find_if(curves.begin(), curves.end(),
                     [&](const auto& known) { return known.first == title; });
    if (curve == curves.end()) curve = curves.insert(curve, {title, {}});
    curve->second.try_emplace(evaluation.t(), &evaluation);
  }
  std::vector<KnobCurve> result;
  for (auto& [title, points] : curves) {
    if (points.size() >= 2) result.push_back(MakeCurve(title, points));
  }
  return result;
}

void WriteKnobCurves(const std::vector<KnobCurve>& curves, HtmlWriter& html) {
  if (curves.empty()) return;
  html.Element("h2", "The knob");
  html.Element("p",
               "A linear head on top of both towers has a knob, t: 0 is the "
               "model that it was trained from, 1 what was trained. Below 0 a "
               "concept is amplified, towards 1 and beyond neutralised.",
               {{"class", "note"}});
  for (const KnobCurve& curve : curves) {
    WriteCharts(curve, html);
    WriteTable(curve, html);
  }
}

}  // namespace attune::client
