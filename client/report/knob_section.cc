#include "client/report/knob_section.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/commands/table.h"
#include "client/report/chart.h"
#include "client/report/figures_section.h"

namespace attune::client {
namespace {

constexpr size_t kShownDigits = 8;  // of a digest

// Evaluations that differ in t alone, by it.
using ByKnob = std::map<double, const v1::Evaluation*>;

// All that the points of a curve have in common.
struct CurveSettings {
  // Without t, and with the versions that its selectors meant.
  v1::EvaluateSpec spec;
  std::string dataset_digest;

  std::string Subject() const {
    return absl::StrCat(spec.model(), " on ", spec.dataset());
  }

  std::string Details() const {
    std::vector<std::string> details;
    if (!spec.against().empty()) {
      details.push_back(absl::StrCat("beside ", spec.against()));
    }
    if (spec.templates_size() > 0) {
      details.push_back(absl::StrCat("as \"", spec.templates(0), "\""));
    }
    if (spec.templates_size() > 1) {
      details.push_back(
          absl::StrCat(spec.templates_size() - 1, " more templates"));
    }
    if (spec.truncate()) details.push_back("long texts cut");
    if (spec.group_by_size() > 0) {
      details.push_back(
          absl::StrCat("by ", absl::StrJoin(spec.group_by(), " and ")));
    }
    if (spec.seed() != 0) details.push_back(absl::StrCat("seed ", spec.seed()));
    if (!dataset_digest.empty()) {
      details.push_back(
          absl::StrCat("digest ", dataset_digest.substr(0, kShownDigits)));
    }
    return absl::StrJoin(details, ", ");
  }

  friend bool operator==(const CurveSettings& a, const CurveSettings& b) {
    return a.dataset_digest == b.dataset_digest &&
           a.spec.SerializeAsString() == b.spec.SerializeAsString();
  }
};

CurveSettings SettingsOf(const KnobEvaluation& point) {
  CurveSettings settings = {
      .spec = point.spec, .dataset_digest = point.evaluation.dataset_digest()};
  settings.spec.set_model(point.evaluation.model());
  settings.spec.set_dataset(point.evaluation.dataset());
  settings.spec.set_against(point.evaluation.against());
  settings.spec.clear_t();
  return settings;
}

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
    Chart chart = {
        .title = absl::StrCat(figure.name, figure.is_share ? ", %" : ""),
        .note = "",
        .series = {},
        .axis = "t"};
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
    const std::vector<KnobEvaluation>& evaluations) {
  std::vector<std::pair<CurveSettings, ByKnob>> curves;
  for (const KnobEvaluation& point : evaluations) {
    if (!point.evaluation.has_t()) continue;
    const CurveSettings settings = SettingsOf(point);
    auto curve = std::find_if(
        curves.begin(), curves.end(),
        [&](const auto& known) { return known.first == settings; });
    if (curve == curves.end()) {
      curve = curves.emplace(curve, settings, ByKnob());
    }
    curve->second.try_emplace(point.evaluation.t(), &point.evaluation);
  }
  std::erase_if(curves,
                [](const auto& curve) { return curve.second.size() < 2; });
  std::map<std::string, int> curves_of_subject;
  for (const auto& [settings, points] : curves) {
    ++curves_of_subject[settings.Subject()];
  }
  std::vector<KnobCurve> result;
  for (const auto& [settings, points] : curves) {
    std::string title = settings.Subject();
    if (curves_of_subject[title] > 1) {
      const std::string details = settings.Details();
      if (!details.empty()) absl::StrAppend(&title, ", ", details);
    }
    result.push_back(MakeCurve(std::move(title), points));
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
