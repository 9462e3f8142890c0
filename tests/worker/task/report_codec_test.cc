#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/task/evaluator.h"

namespace attune::task {
namespace {

using ::testing::UnorderedElementsAre;

// About as many rows as a message takes, when each has a name of this length.
constexpr int kMany = 12'000;
const std::string& LongName() {
  static const auto& name = *new std::string(100, 'x');
  return name;
}

// A report with so many rows of each kind, and the skew of one attribute.
evaluate::Report MakeReport(int classes, int shares, int groups) {
  evaluate::Report report;
  const auto add = [&report](const evaluate::Figure& figure) {
    report.figures.push_back(figure);
    report.comparisons.push_back({.difference = figure});
  };
  add({.name = "clean_top1"});
  for (int i = 0; i < classes; ++i) {
    add({.name = "clean_top1", .class_label = absl::StrCat(LongName(), i)});
  }
  for (int i = 0; i < shares; ++i) {
    add({.name = "skew_share",
         .attribute = "gender",
         .group = "man",
         .candidate = absl::StrCat(LongName(), i)});
  }
  for (int i = 0; i < groups; ++i) {
    add({.name = "pair_accuracy",
         .attribute = "gender",
         .group = absl::StrCat(LongName(), i)});
  }
  for (const char* name : {"skew_gap", "skew_kl"}) {
    add({.name = name, .attribute = "gender"});
  }
  return report;
}

// The kinds of parts that are sent; those of comparisons are the same.
std::set<std::string> PartsOf(const v1::EvaluateResult& result) {
  std::set<std::string> parts, compared;
  const auto add = [](const v1::Figure& figure, std::set<std::string>* to) {
    to->insert(figure.class_label().empty() ? figure.name() : "class");
  };
  for (const v1::Figure& figure : result.part_figures()) add(figure, &parts);
  for (const v1::FigureComparison& comparison : result.comparisons()) {
    if (comparison.difference().attribute().empty() &&
        comparison.difference().class_label().empty()) {
      continue;
    }
    add(comparison.difference(), &compared);
  }
  EXPECT_EQ(parts, compared);
  EXPECT_EQ(result.figures_size(), 1);
  EXPECT_LT(result.ByteSizeLong(), 2'000'000u);
  return parts;
}

TEST(ReportCodecTest, AReportOfSomeRowsIsSentWhole) {
  EXPECT_THAT(PartsOf(ToResult(MakeReport(10, 10, 10))),
              UnorderedElementsAre("class", "skew_share", "pair_accuracy",
                                   "skew_gap", "skew_kl"));
}

TEST(ReportCodecTest, TheBulkiestTablesAreLeftOutFirst) {
  EXPECT_THAT(PartsOf(ToResult(MakeReport(kMany, 10, 10))),
              UnorderedElementsAre("skew_share", "pair_accuracy", "skew_gap",
                                   "skew_kl"));
  EXPECT_THAT(PartsOf(ToResult(MakeReport(10, kMany, 10))),
              UnorderedElementsAre("pair_accuracy", "skew_gap", "skew_kl"));
}

TEST(ReportCodecTest, TheSkewOfAnAttributeOutlivesItsTables) {
  EXPECT_THAT(PartsOf(ToResult(MakeReport(10, 10, kMany))),
              UnorderedElementsAre("skew_gap", "skew_kl"));
}

}  // namespace
}  // namespace attune::task
