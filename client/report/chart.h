// Line charts, mostly over training steps, as inline SVG. Colours are the
// page's CSS classes, so that they follow its light or dark scheme.

#ifndef ATTUNE_CLIENT_REPORT_CHART_H_
#define ATTUNE_CLIENT_REPORT_CHART_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "client/report/html.h"

namespace attune::client {

struct ChartSeries {
  std::string name;
  // (step, value), steps ascending.
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string title;
  // What it means, one sentence.
  std::string note;
  // One or two.
  std::vector<ChartSeries> series;
  // What a step is called.
  std::string axis = "step";
};

// A piece of a series: the mean of some neighbouring steps and the range of
// their values.
struct ChartBucket {
  double step = 0;
  double mean = 0;
  double low = 0;
  double high = 0;
};

// At most `count` pieces of about equally many steps; values that are not
// finite are left out. REQUIRES: count > 0.
std::vector<ChartBucket> MakeBuckets(
    const std::vector<std::pair<double, double>>& points, int count);

// Round numbers (1, 2 or 5 times a power of ten apart) that cover [low, high]:
// the first is at or below `low`, the last at or above `high`.
// REQUIRES: both finite, low <= high.
std::vector<double> AxisTicks(double low, double high, int about);

// "from 0.69 at step 1 to 0.14 at step 192; lowest 0.11, highest 0.69"; what a
// reader who does not see the curve needs. Empty for a series without points.
std::string DescribeSeries(const ChartSeries& series,
                           const std::string& axis = "step");

// Writes a <figure>: title, curve with its legend, description in words and a
// table of some of the values.
void WriteChart(const Chart& chart, HtmlWriter& html);

}  // namespace attune::client

#endif  // ATTUNE_CLIENT_REPORT_CHART_H_
