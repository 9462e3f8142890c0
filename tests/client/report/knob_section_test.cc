#include "client/report/knob_section.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

v1::Evaluation At(double t, double told_apart) {
  v1::Evaluation evaluation;
  evaluation.set_model("neutral:1");
  evaluation.set_dataset("colours");
  evaluation.set_t(t);
  v1::Figure& figure = *evaluation.add_figures();
  figure.set_name("pair_accuracy");
  figure.set_value(told_apart);
  return evaluation;
}

TEST(KnobCurves, HaveTheNewestEvaluationOfEveryKnobInOrder) {
  v1::Evaluation other = At(0.5, 0.25);
  other.set_dataset("shapes");
  v1::Evaluation without = At(2, 1);
  without.clear_t();
  v1::Evaluation more = At(-1, 1);
  more.mutable_figures()->Add()->set_name("clean_top1");
  // Newest first.
  const auto curves =
      KnobCurves({At(1, 0.75), other, without, more, At(1, 0.5), At(0, 0.875)});
  ASSERT_THAT(curves, SizeIs(1));  // one point is no curve
  EXPECT_EQ(curves[0].title, "neutral:1 on colours");
  ASSERT_THAT(curves[0].figures, SizeIs(2));
  EXPECT_EQ(curves[0].figures[0].name, "pair accuracy");
  ASSERT_THAT(curves[0].points, SizeIs(3));
  EXPECT_EQ(curves[0].points[0].t, -1);
  EXPECT_EQ(curves[0].points[1].values[0], 0.875);
  EXPECT_EQ(curves[0].points[1].values[1], std::nullopt);
  EXPECT_EQ(curves[0].points[2].t, 1);
  EXPECT_EQ(curves[0].points[2].values[0], 0.75);
}

TEST(KnobCurves, AreShownAsChartsAndATable) {
  KnobCurve curve;
  curve.title = "red and <blue>";
  curve.figures = {{.name = "margin", .is_share = false}, {"told apart", true}};
  curve.points = {{-1, {316.25, 1}}, {0.25, {3.5, std::nullopt}}};
  HtmlWriter html;
  WriteKnobCurves({curve}, html);
  EXPECT_THAT(html.html(), HasSubstr("<h2>The knob</h2>"));
  EXPECT_THAT(html.html(), HasSubstr("<caption>red and &lt;blue&gt;"));
  EXPECT_THAT(html.html(), HasSubstr("<h3>margin</h3>"));
  EXPECT_THAT(html.html(), HasSubstr("<h3>told apart, %</h3>"));
  EXPECT_THAT(html.html(), HasSubstr("<th scope=\"row\" class=\"number\">0.25"
                                     "</th>\n<td class=\"number\">3.5</td>\n"
                                     "<td class=\"number\"></td>"));
  EXPECT_THAT(html.html(), HasSubstr("<td class=\"number\">100.0 %</td>"));
  HtmlWriter nothing;
  WriteKnobCurves({}, nothing);
  EXPECT_EQ(nothing.html(), "");
}

}  // namespace
}  // namespace attune::client
