#include "client/report/chart.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/commands/table.h"

namespace attune::client {
namespace {

// In the units of the SVG's viewBox.
constexpr double kWidth = 400, kHeight = 210;
constexpr double kLeft = 46, kRight = 388, kTop = 10, kBottom = 182;
constexpr int kMaxBuckets = 200;
constexpr int kTableRows = 10;

// Where data lies on the sheet.
struct Scale {
  double first_step, last_step, low, high;

  double X(double step) const {
    const double span = last_step - first_step;
    return kLeft +
           (step - first_step) / (span > 0 ? span : 1) * (kRight - kLeft);
  }
  double Y(double value) const {
    return kBottom - (value - low) / (high - low) * (kBottom - kTop);
  }
};

std::string Coordinate(double value) { return absl::StrFormat("%.1f", value); }

// A rounding error of a step is not shown as -1.9e-09.
std::string Label(double value, double range) {
  return FormatNumber(std::abs(value) < 1e-9 * range ? 0 : value);
}

// "2,000" of step 2000.5, the middle of a bucket; -0.25 as "-0.25".
std::string StepLabel(double step, const std::string& axis) {
  return axis == "step" ? FormatCount(static_cast<int64_t>(step))
                        : FormatNumber(step);
}

void WriteAxes(const Scale& scale, const std::vector<double>& ticks,
               const std::string& axis, HtmlWriter& html) {
  for (double tick : ticks) {
    const std::string y = Coordinate(scale.Y(tick));
    html.Empty("line", {{"class", "grid"},
                        {"x1", Coordinate(kLeft)},
                        {"x2", Coordinate(kRight)},
                        {"y1", y},
                        {"y2", y}});
    html.Element("text", Label(tick, scale.high - scale.low),
                 {{"class", "tick"},
                  {"x", Coordinate(kLeft - 6)},
                  {"y", y},
                  {"dy", "0.35em"},
                  {"text-anchor", "end"}});
  }
  const auto step_label = [&](double step, const char* anchor) {
    html.Element("text", StepLabel(step, axis),
                 {{"class", "tick"},
                  {"x", Coordinate(scale.X(step))},
                  {"y", Coordinate(kBottom + 18)},
                  {"text-anchor", anchor}});
  };
  step_label(scale.first_step, "start");
  if (scale.last_step > scale.first_step) step_label(scale.last_step, "end");
  html.Element("text", axis,
               {{"class", "tick"},
                {"x", Coordinate((kLeft + kRight) / 2)},
                {"y", Coordinate(kBottom + 18)},
                {"text-anchor", "middle"}});
}

void WriteCurve(const std::vector<ChartBucket>& buckets, const Scale& scale,
                int number, HtmlWriter& html) {
  if (buckets.empty()) return;
  const std::string name = absl::StrCat("s", number);
  const auto point = [&](double step, double value) {
    return absl::StrCat(Coordinate(scale.X(step)), ",",
                        Coordinate(scale.Y(value)), " ");
  };
  std::string line, band;
  for (const ChartBucket& bucket : buckets) {
    absl::StrAppend(&line, point(bucket.step, bucket.mean));
    absl::StrAppend(&band, point(bucket.step, bucket.high));
  }
  for (auto bucket = buckets.rbegin(); bucket != buckets.rend(); ++bucket) {
    absl::StrAppend(&band, point(bucket->step, bucket->low));
  }
  html.Empty("polygon", {{"class", "band " + name}, {"points", band}});
  html.Empty("polyline", {{"class", "line " + name}, {"points", line}});
  // Visible where a single step leaves no line to see.
  html.Empty("circle", {{"class", "end " + name},
                        {"cx", Coordinate(scale.X(buckets.back().step))},
                        {"cy", Coordinate(scale.Y(buckets.back().mean))},
                        {"r", "3"}});
}

void WriteTable(const Chart& chart, HtmlWriter& html) {
  html.Open("details");
  html.Element("summary", "Values");
  html.Open("table");
  html.Open("thead");
  html.Open("tr");
  html.Element("th", chart.axis == "step" ? "Step" : chart.axis,
               {{"scope", "col"}});
  for (const ChartSeries& series : chart.series) {
    html.Element("th", series.name, {{"scope", "col"}});
  }
  html.Close();
  html.Close();
  html.Open("tbody");
  const auto& points = chart.series.front().points;
  const size_t rows = std::min<size_t>(kTableRows, points.size());
  for (size_t row = 0; row < rows; ++row) {
    // The first and the last step, and what lies evenly between.
    const size_t at = rows == 1 ? 0 : row * (points.size() - 1) / (rows - 1);
    html.Open("tr");
    html.Element("td", StepLabel(points[at].first, chart.axis));
    for (const ChartSeries& series : chart.series) {
      html.Element("td", at < series.points.size()
                             ? FormatNumber(series.points[at].second)
                             : "");
    }
    html.Close();
  }
  html.Close();
  html.Close();
  html.Close();
}

}  // namespace

std::vector<ChartBucket> MakeBuckets(
    const std::vector<std::pair<double, double>>& points, int count) {
  std::vector<std::pair<double, double>> finite;
  for (const auto& point : points) {
    if (std::isfinite(point.second)) finite.push_back(point);
  }
  const size_t pieces = std::min<size_t>(finite.size(), count);
  std::vector<ChartBucket> buckets;
  for (size_t piece = 0; piece < pieces; ++piece) {
    const size_t first = piece * finite.size() / pieces;
    const size_t last = (piece + 1) * finite.size() / pieces;
    ChartBucket bucket = {.low = finite[first].second,
                          .high = finite[first].second};
    for (size_t i = first; i < last; ++i) {
      const double value = finite[i].second;
      bucket.step += finite[i].first;
      bucket.mean += value;
      bucket.low = std::min(bucket.low, value);
      bucket.high = std::max(bucket.high, value);
    }
    bucket.step /= static_cast<double>(last - first);
    bucket.mean /= static_cast<double>(last - first);
    buckets.push_back(bucket);
  }
  return buckets;
}

std::vector<double> AxisTicks(double low, double high, int about) {
  // A curve that does not move gets a range of its own size.
  if (high - low <= 1e-12 * std::max(std::abs(low), std::abs(high)) ||
      high == low) {
    const double margin = low == 0 ? 1 : std::abs(low) / 10;
    low -= margin;
    high += margin;
  }
  const double rough = (high - low) / about;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9);
  const double last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string DescribeSeries(const ChartSeries& series, const std::string& axis) {
  const std::vector<ChartBucket> all =
      MakeBuckets(series.points,
                  static_cast<int>(std::max<size_t>(1, series.points.size())));
  if (all.empty()) return "";
  const auto by_mean = [](const ChartBucket& a, const ChartBucket& b) {
    return a.mean < b.mean;
  };
  const auto [low, high] = std::minmax_element(all.begin(), all.end(), by_mean);
  const double range = std::max(std::abs(low->mean), std::abs(high->mean));
  return absl::StrCat("from ", Label(all.front().mean, range), " at ", axis,
                      " ", all.front().step, " to ",
                      Label(all.back().mean, range), " at ", axis, " ",
                      all.back().step, "; lowest ", Label(low->mean, range),
                      ", highest ", Label(high->mean, range));
}

void WriteChart(const Chart& chart, HtmlWriter& html) {
  std::vector<std::vector<ChartBucket>> curves;
  std::string description;
  Scale scale = {INFINITY, -INFINITY, INFINITY, -INFINITY};
  for (const ChartSeries& series : chart.series) {
    curves.push_back(MakeBuckets(series.points, kMaxBuckets));
    for (const ChartBucket& bucket : curves.back()) {
      scale = {std::min(scale.first_step, bucket.step),
               std::max(scale.last_step, bucket.step),
               std::min(scale.low, bucket.low),
               std::max(scale.high, bucket.high)};
    }
    const std::string words = DescribeSeries(series, chart.axis);
    if (words.empty()) continue;
    absl::StrAppend(&description, description.empty() ? "" : ". ", series.name,
                    " ", words);
  }
  if (description.empty()) return;
  const std::vector<double> ticks = AxisTicks(scale.low, scale.high, 4);
  scale.low = ticks.front();
  scale.high = ticks.back();

  html.Open("figure", {{"class", "chart"}});
  html.Element("h3", chart.title);
  if (!chart.note.empty()) {
    html.Element("p", chart.note, {{"class", "note"}});
  }
  if (chart.series.size() > 1) {
    html.Open("p", {{"class", "legend"}});
    for (size_t i = 0; i < chart.series.size(); ++i) {
      html.Element("span", chart.series[i].name,
                   {{"class", absl::StrCat("key s", i + 1)}});
    }
    html.Close();
  }
  html.Open("svg",
            {{"viewBox", absl::StrCat("0 0 ", kWidth, " ", kHeight)},
             {"role", "img"},
             {"aria-label", absl::StrCat(chart.title, ": ", description)}});
  WriteAxes(scale, ticks, chart.axis, html);
  for (size_t i = 0; i < curves.size(); ++i) {
    WriteCurve(curves[i], scale, static_cast<int>(i) + 1, html);
  }
  html.Close();
  html.Element("figcaption", absl::StrCat(description, "."));
  WriteTable(chart, html);
  html.Close();
}

}  // namespace attune::client
