#include "client/report/knob_section.h"

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

KnobEvaluation At(double t, double told_apart) {
  KnobEvaluation point;
  point.evaluation.set_model("neutral:1");
  point.evaluation.set_dataset("colours");
  point.evaluation.set_t(t);
  point.spec.set_model("neutral");
  point.spec.set_t(t);
  v1::Figure& figure = *point.evaluation.add_figures();
  figure.set_name("pair_accuracy");
  figure.set_value(told_apart);
  return point;
}

TEST(KnobCurves, HaveTheNewestEvaluationOfEveryKnobInOrder) {
  KnobEvaluation other = At(0.5, 0.25);
  other.evaluation.set_dataset("shapes");
  KnobEvaluation without = At(2, 1);
  without.evaluation.clear_t();
  KnobEvaluation more = At(-1, 1);
  more.evaluation.mutable_figures()->Add()->set_name("clean_top1");
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

TEST(KnobCurves, AreOfOneSettingEach) {
  const std::vector<std::function<void(KnobEvaluation&)>> changes = {
      [](KnobEvaluation& e) { e.evaluation.set_dataset_digest("0123456789"); },
      [](KnobEvaluation& e) { e.evaluation.set_against("base:1"); },
      [](KnobEvaluation& e) { e.spec.add_templates("a photo of {}"); },
      [](KnobEvaluation& e) { e.spec.set_truncate(true); },
      [](KnobEvaluation& e) { e.spec.add_group_by("gender"); },
      [](KnobEvaluation& e) { e.spec.set_seed(7); }};
  const std::vector<std::string> details = {
      "digest 01234567", "beside base:1", "as \"a photo of {}\"",
      "long texts cut",  "by gender",     "seed 7"};
  for (size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(details[i]);
    KnobEvaluation changed_0 = At(0, 0.25), changed_2 = At(2, 0.125);
    changes[i](changed_0);
    changes[i](changed_2);
    // The changed ones are the newer.
    const auto curves =
        KnobCurves({changed_0, changed_2, At(0, 0.5), At(1, 0.75)});
    ASSERT_THAT(curves, SizeIs(2));
    EXPECT_EQ(curves[0].title, "neutral:1 on colours, " + details[i]);
    ASSERT_THAT(curves[0].points, SizeIs(2));
    EXPECT_EQ(curves[0].points[0].values[0], 0.25);
    EXPECT_EQ(curves[0].points[1].t, 2);
    EXPECT_EQ(curves[1].title, "neutral:1 on colours");
    ASSERT_THAT(curves[1].points, SizeIs(2));
    EXPECT_EQ(curves[1].points[0].values[0], 0.5);
    EXPECT_EQ(curves[1].points[1].t, 1);
    // A curve that is alone says no settings.
    EXPECT_EQ(KnobCurves({changed_0, changed_2, At(0, 0.5)})[0].title,
              "neutral:1 on colours");
  }
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
