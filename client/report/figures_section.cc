#include "client/report/figures_section.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

using Figures = google::protobuf::RepeatedPtrField<v1::Figure>;

// What one figure says about a job, in the order of the tiles.
constexpr std::array<const char*, 5> kTileFigures = {
    "attacked_top1", "attack_success", "clean_top1", "pair_accuracy",
    "recall_at_1_image"};
constexpr size_t kMaxTiles = 4;

const v1::Figure* Find(const Figures& figures, const std::string& name) {
  const auto found =
      std::find_if(figures.begin(), figures.end(),
                   [&](const v1::Figure& f) { return f.name() == name; });
  return found == figures.end() ? nullptr : &*found;
}

bool LowIsGood(const std::string& name) {
  return name == "attack_success" || absl::StartsWith(name, "skew");
}

bool IsShare(const v1::Figure& figure) {
  return figure.value() >= 0 && figure.value() <= 1 &&
         figure.name() != "skew_kl";
}

std::string Value(const v1::Figure& figure) {
  return IsShare(figure) ? absl::StrFormat("%.1f %%", 100 * figure.value())
                         : FormatNumber(figure.value());
}

// "27.8 to 35.2" in the figure's own unit; empty where none was computed.
std::string Interval(const v1::Figure& figure, bool share) {
  if (!figure.has_low() || !figure.has_high()) return "";
  if (!share) {
    return absl::StrCat(FormatNumber(figure.low()), " to ",
                        FormatNumber(figure.high()));
  }
  return absl::StrFormat("%.1f to %.1f", 100 * figure.low(),
                         100 * figure.high());
}

// The comparison of the two versions in this figure over all examples.
const v1::FigureComparison* FindComparison(const v1::Evaluation& evaluation,
                                           const std::string& name) {
  for (const v1::FigureComparison& comparison : evaluation.comparisons()) {
    const v1::Figure& figure = comparison.difference();
    if (figure.name() == name && figure.class_label().empty() &&
        figure.attribute().empty()) {
      return &comparison;
    }
  }
  return nullptr;
}

std::string Difference(const v1::Figure& now, const v1::Figure& was) {
  const double difference = now.value() - was.value();
  if (!IsShare(now) || !IsShare(was)) {
    return absl::StrFormat("%+.4g", difference);
  }
  // Not "-0.0".
  const double points = std::round(1000 * difference) / 10 + 0.0;
  return absl::StrFormat("%+.1f", points);
}

// The class that colours a change.
std::string Judgement(const v1::Figure& now, const v1::Figure& was) {
  const double gain =
      (now.value() - was.value()) * (LowIsGood(now.name()) ? -1 : 1);
  return std::abs(gain) < 0.0005 ? "" : gain > 0 ? "good" : "bad";
}

// A share on a line from 0 to 100 %, before and after.
void WriteRange(const v1::Figure& now, const v1::Figure* was,
                HtmlWriter& html) {
  if (!IsShare(now)) return;
  const auto x = [](double share) {
    return absl::StrFormat("%.1f", 6 + 148 * share);
  };
  std::string label = absl::StrCat(FigureTitle(now.name()), " ", Value(now));
  if (was != nullptr) absl::StrAppend(&label, ", before ", Value(*was));
  html.Open(
      "svg",
      {{"viewBox", "0 0 160 16"}, {"role", "img"}, {"aria-label", label}});
  const auto line = [&](const char* name, const std::string& from,
                        const std::string& to) {
    html.Empty(
        "line",
        {{"class", name}, {"x1", from}, {"x2", to}, {"y1", "8"}, {"y2", "8"}});
  };
  line("track", x(0), x(1));
  if (was != nullptr) {
    line("move", x(was->value()), x(now.value()));
    html.Empty(
        "circle",
        {{"class", "was"}, {"cx", x(was->value())}, {"cy", "8"}, {"r", "4"}});
  }
  html.Empty(
      "circle",
      {{"class", "now"}, {"cx", x(now.value())}, {"cy", "8"}, {"r", "5"}});
  html.Close();
}

// A number above its interval.
void WriteNumber(const std::string& value, const std::string& interval,
                 const std::string& style, HtmlWriter& html) {
  html.Open("td", {{"class", "number"}});
  html.Element("span", value, {{"class", style}});
  if (!interval.empty()) {
    html.Raw("<br/>");
    html.Element("span", interval, {{"class", "interval"}});
  }
  html.Close();
}

// "p = 0.03"; the smallest are not told apart.
std::string PValue(const v1::FigureComparison* comparison) {
  if (comparison == nullptr || !comparison->has_p_value()) return "";
  if (comparison->p_value() < 0.001) return "p < 0.001";
  return absl::StrFormat("p = %.3f", comparison->p_value());
}

void WriteRow(const v1::Figure& now, const v1::Figure* was,
              const v1::FigureComparison* comparison, bool compared,
              HtmlWriter& html) {
  html.Open("tr");
  html.Element("th", FigureTitle(now.name()), {{"scope", "row"}});
  const bool share = IsShare(now);
  if (compared) {
    if (was != nullptr) {
      WriteNumber(Value(*was), Interval(*was, share), "", html);
    } else {
      html.Element("td", "");
    }
  }
  WriteNumber(Value(now), Interval(now, share), "", html);
  if (compared) {
    std::string detail;
    if (comparison != nullptr) {
      detail = Interval(comparison->difference(), share);
      const std::string p_value = PValue(comparison);
      if (!p_value.empty()) {
        absl::StrAppend(&detail, detail.empty() ? "" : ", ", p_value);
      }
    }
    if (was != nullptr) {
      WriteNumber(Difference(now, *was), detail, Judgement(now, *was), html);
    } else {
      html.Element("td", "");
    }
  }
  html.Open("td", {{"class", "range"}});
  WriteRange(now, was, html);
  html.Close();
  html.Element("td", FormatCount(now.count()), {{"class", "number"}});
  html.Close();
}

void WriteEvaluation(const v1::Evaluation& evaluation, HtmlWriter& html) {
  const bool compared = !evaluation.against().empty();
  html.Open("div", {{"class", "scroll"}});
  html.Open("table", {{"class", "wide"}});
  html.Element("caption",
               absl::StrCat(evaluation.model(), " on ", evaluation.dataset()));
  html.Open("thead");
  html.Open("tr");
  const auto column = [&](const std::string& name, const char* style) {
    html.Element("th", name, {{"scope", "col"}, {"class", style}});
  };
  column("Figure", "");
  if (compared) column(evaluation.against(), "number");
  column(evaluation.model(), "number");
  if (compared) column("Difference", "number");
  column("0 to 100 %", "range");
  column("Examples", "number");
  html.Close();
  html.Close();
  html.Open("tbody");
  for (const v1::Figure& figure : evaluation.figures()) {
    WriteRow(figure, Find(evaluation.against_figures(), figure.name()),
             FindComparison(evaluation, figure.name()), compared, html);
  }
  html.Close();
  html.Close();
  html.Close();
}

// The first one on attacked pictures, which is what a job is about that has
// one; else the first.
const v1::Evaluation& ForTiles(const std::vector<v1::Evaluation>& evaluations) {
  const auto found = std::find_if(
      evaluations.begin(), evaluations.end(), [](const v1::Evaluation& one) {
        return Find(one.figures(), kTileFigures.front()) != nullptr;
      });
  return found == evaluations.end() ? evaluations.front() : *found;
}

}  // namespace

std::string FigureTitle(const std::string& name) {
  return absl::StrReplaceAll(
      name, {{"top1", "top-1"}, {"top5", "top-5"}, {"_at_", "@"}, {"_", " "}});
}

void WriteTiles(const Report& report, HtmlWriter& html) {
  if (report.evaluations.empty()) return;
  const v1::Evaluation& evaluation = ForTiles(report.evaluations);
  size_t count = 0;
  html.Open("div", {{"class", "tiles"}});
  for (const char* name : kTileFigures) {
    const v1::Figure* const now = Find(evaluation.figures(), name);
    if (now == nullptr || count == kMaxTiles) continue;
    ++count;
    const v1::Figure* const was = Find(evaluation.against_figures(), name);
    html.Open("div", {{"class", "tile"}});
    html.Element("div", FigureTitle(name), {{"class", "name"}});
    html.Element("div", Value(*now), {{"class", "value"}});
    if (was != nullptr) {
      html.Open("div", {{"class", "from"}});
      html.Text(absl::StrCat("from ", Value(*was), " "));
      html.Element("span", Difference(*now, *was),
                   {{"class", Judgement(*now, *was)}});
      html.Close();
    }
    html.Close();
  }
  html.Close();
}

void WriteFigures(const Report& report, HtmlWriter& html) {
  html.Element("h2", "Before and after");
  if (report.evaluations.empty()) {
    html.Element("p",
                 "Its versions have not been evaluated: submit the job with "
                 "--eval-dataset, or run attune evaluate, and make the report "
                 "again.");
    return;
  }
  html.Element("p",
               "Shares of the examples, the differences in points, below them "
               "their 95 % intervals (bootstrap) and McNemar's exact test; the "
               "ring is before, the dot after.",
               {{"class", "note"}});
  for (const v1::Evaluation& evaluation : report.evaluations) {
    WriteEvaluation(evaluation, html);
  }
}

}  // namespace attune::client
