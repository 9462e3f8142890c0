#include "client/report/chart.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(AxisTicks, AreRoundNumbersThatCoverTheRange) {
  EXPECT_THAT(AxisTicks(0.13, 0.69, 4),
              ElementsAre(DoubleEq(0), DoubleEq(0.2), DoubleEq(0.4),
                          DoubleEq(0.6000000000000001), DoubleEq(0.8)));
  EXPECT_THAT(AxisTicks(-3, 7, 4), ElementsAre(-5, 0, 5, 10));
  EXPECT_THAT(AxisTicks(0, 2e-5, 4),
              ElementsAre(0, DoubleEq(5e-6), DoubleEq(1e-5), DoubleEq(1.5e-5),
                          DoubleEq(2e-5)));
}

TEST(AxisTicks, ACurveThatDoesNotMoveGetsARangeToo) {
  for (double value : {0.0, 14.3, -2.0, 1e-9}) {
    const std::vector<double> ticks = AxisTicks(value, value, 4);
    ASSERT_GE(ticks.size(), 2u);
    EXPECT_LT(ticks.front(), value);
    EXPECT_GT(ticks.back(), value);
    EXPECT_LE(ticks.size(), 8u);
  }
}

TEST(MakeBuckets, AShortSeriesStaysAsItIs) {
  const auto buckets = MakeBuckets({{1, 0.5}, {2, 0.25}}, 200);
  ASSERT_EQ(buckets.size(), 2u);
  EXPECT_EQ(buckets[1].step, 2);
  EXPECT_EQ(buckets[1].mean, 0.25);
  EXPECT_EQ(buckets[1].low, 0.25);
  EXPECT_EQ(buckets[1].high, 0.25);
}

TEST(MakeBuckets, ALongSeriesIsSummedUpWithItsRange) {
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i < 1000; ++i) points.emplace_back(i + 1, i % 10);
  const auto buckets = MakeBuckets(points, 100);
  ASSERT_EQ(buckets.size(), 100u);
  for (const ChartBucket& bucket : buckets) {
    EXPECT_EQ(bucket.mean, 4.5);
    EXPECT_EQ(bucket.low, 0);
    EXPECT_EQ(bucket.high, 9);
  }
  EXPECT_EQ(buckets[0].step, 5.5);
  EXPECT_EQ(buckets[99].step, 995.5);
}

TEST(MakeBuckets, WhatIsNotFiniteIsLeftOut) {
  const auto buckets =
      MakeBuckets({{1, NAN}, {2, 3}, {3, INFINITY}, {4, 5}}, 10);
  ASSERT_EQ(buckets.size(), 2u);
  EXPECT_EQ(buckets[0].step, 2);
  EXPECT_EQ(buckets[1].step, 4);
}

TEST(Chart, SaysInWordsWhatTheCurveShows) {
  EXPECT_EQ(DescribeSeries({"loss", {{1, 0.75}, {2, 0.25}, {3, 0.5}}}),
            "from 0.75 at step 1 to 0.5 at step 3; lowest 0.25, highest 0.75");
  EXPECT_EQ(DescribeSeries({"loss", {{1, NAN}}}), "");
}

TEST(Chart, IsAFigureWithALabelAndItsValues) {
  HtmlWriter html;
  WriteChart({"Loss",
              "What is minimised.",
              {{"loss", {{1, 0.75}, {2, 0.25}}},
               {"objective", {{1, 0.5}, {2, 0.125}}}}},
             html);
  EXPECT_THAT(html.html(), HasSubstr("role=\"img\""));
  EXPECT_THAT(html.html(),
              HasSubstr("aria-label=\"Loss: loss from 0.75 at step 1"));
  EXPECT_THAT(html.html(), HasSubstr("class=\"line s1\""));
  EXPECT_THAT(html.html(), HasSubstr("class=\"line s2\""));
  EXPECT_THAT(html.html(), HasSubstr("<td>0.125</td>"));
  // The highest value is at the top of the sheet's highest tick, 0.8, and the
  // lowest at 0: y = 182 − 172 · value / 0.8.
  EXPECT_THAT(html.html(), HasSubstr("points=\"46.0,20.8 388.0,128.2 \""));
}

TEST(Chart, AnAxisNeedNotBeStepsNorWholeNumbers) {
  HtmlWriter html;
  Chart chart = {"Told apart", "", {{"share", {{-0.5, 100}, {0.25, 50}}}}};
  chart.axis = "t";
  WriteChart(chart, html);
  EXPECT_THAT(html.html(),
              HasSubstr("share from 100 at t -0.5 to 50 at t 0.2"));
  EXPECT_THAT(html.html(), HasSubstr(">-0.5</text>"));
  EXPECT_THAT(html.html(), HasSubstr(">t</th>"));
  // From the left edge to the right one.
  EXPECT_THAT(html.html(), HasSubstr("points=\"46.0,10.0 388.0,"));
}

TEST(Chart, WithoutValuesIsNotDrawn) {
  HtmlWriter html;
  WriteChart({"Loss", "", {{"loss", {{1, NAN}}}}}, html);
  EXPECT_EQ(html.html(), "");
}

}  // namespace
}  // namespace attune::client
