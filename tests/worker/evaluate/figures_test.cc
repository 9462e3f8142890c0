#include "worker/evaluate/figures.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "common/statistics/mcnemar.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::evaluate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int kRows = 60;

// Random answers over kRows rows: pairs in all of them, and clean_top1 in the
// first half.
Answers RandomAnswers(int seed, int candidates) {
  std::mt19937 random(seed);
  Answers answers;
  answers.outcomes = {{.name = "clean_top1"}, {.name = "pair_accuracy"}};
  for (int row = 0; row < kRows; ++row) {
    for (Outcomes& each : answers.outcomes) {
      if (each.name == "clean_top1" && row >= kRows / 2) continue;
      each.rows.push_back(row);
      each.counts.push_back(random() % 3 != 0);
    }
    answers.assigned.push_back(random() % candidates);
  }
  return answers;
}

// Rows by class, and two of three rows by gender.
std::vector<Division> TwoDivisions() {
  std::vector<Division> divisions = {
      {.attribute = "", .names = {"a cat", "a dog"}, .part_of_row = {}},
      {.attribute = "gender", .names = {"man", "woman"}, .part_of_row = {}}};
  for (int row = 0; row < kRows; ++row) {
    divisions[0].part_of_row.push_back(row % 2);
    divisions[1].part_of_row.push_back(row % 3 - 1);
  }
  return divisions;
}

const Figure* Find(const std::vector<Figure>& figures, const Figure& key) {
  const auto found =
      std::find_if(figures.begin(), figures.end(), [&](const Figure& figure) {
        return figure.name == key.name &&
               figure.class_label == key.class_label &&
               figure.attribute == key.attribute && figure.group == key.group &&
               figure.candidate == key.candidate;
      });
  return found == figures.end() ? nullptr : &*found;
}

const Comparison* Find(const Report& report, const Figure& key) {
  for (const Comparison& comparison : report.comparisons) {
    if (Find(std::vector<Figure>{comparison.difference}, key) != nullptr) {
      return &comparison;
    }
  }
  return nullptr;
}

// Whether a row belongs to the part that a figure is over.
bool InPart(const Figure& figure, const std::vector<Division>& divisions,
            int64_t row) {
  for (const Division& division : divisions) {
    const std::string& wanted =
        division.attribute.empty() ? figure.class_label : figure.group;
    if (wanted.empty()) continue;
    const int64_t part = division.part_of_row[row];
    if (part < 0 || division.names[part] != wanted) return false;
  }
  return true;
}

TEST(FiguresTest, PlainFiguresAreSharesOfAllRows) {
  EXPECT_THAT(PlainFigures({{"clean_top1", {4, 9, 11}, {1, 0, 1}}}),
              ElementsAre(Figure{"clean_top1", 2. / 3, 3}));
}

TEST(FiguresTest, EveryPartEqualsACountOfItsRows) {
  const std::vector<Division> divisions = TwoDivisions();
  const Answers model = RandomAnswers(1, 4), other = RandomAnswers(2, 4);
  const Report report =
      MakeReport(model, &other, divisions, {"a", "b", "c", "d"}, {});
  int checked = 0;
  for (size_t o = 0; o < model.outcomes.size(); ++o) {
    const Outcomes& mine = model.outcomes[o];
    std::vector<Figure> keys = {{.name = mine.name},
                                {.name = mine.name, .class_label = "a cat"},
                                {.name = mine.name, .class_label = "a dog"}};
    for (const char* group : {"man", "woman"}) {
      keys.push_back(
          {.name = mine.name, .attribute = "gender", .group = group});
    }
    for (const Figure& key : keys) {
      double count = 0, a = 0, b = 0;
      int64_t only_a = 0, only_b = 0;
      for (size_t i = 0; i < mine.rows.size(); ++i) {
        if (!InPart(key, divisions, mine.rows[i])) continue;
        const int of_a = mine.counts[i], of_b = other.outcomes[o].counts[i];
        ++count;
        a += of_a;
        b += of_b;
        only_a += of_a > of_b;
        only_b += of_b > of_a;
      }
      const Figure* figure = Find(report.figures, key);
      const Figure* against = Find(report.against_figures, key);
      const Comparison* comparison = Find(report, key);
      ASSERT_TRUE(figure != nullptr && against != nullptr &&
                  comparison != nullptr)
          << key.name << key.class_label << key.group;
      EXPECT_EQ(figure->count, count);
      EXPECT_DOUBLE_EQ(figure->value, a / count);
      EXPECT_DOUBLE_EQ(against->value, b / count);
      EXPECT_DOUBLE_EQ(comparison->difference.value, (a - b) / count);
      EXPECT_EQ(comparison->only_model, only_a);
      EXPECT_EQ(comparison->only_against, only_b);
      EXPECT_EQ(comparison->p_value, statistics::McNemarExact(only_a, only_b));
      EXPECT_LE(figure->interval->low, figure->value);
      EXPECT_GE(figure->interval->high, figure->value);
      EXPECT_LE(comparison->difference.interval->low, (a - b) / count);
      EXPECT_GE(comparison->difference.interval->high, (a - b) / count);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 10);
}

TEST(FiguresTest, SkewEqualsACountOfItsRows) {
  const std::vector<Division> divisions = TwoDivisions();
  const std::vector<std::string> candidates = {"a", "b", "c", "d"};
  const Answers model = RandomAnswers(1, 4), other = RandomAnswers(2, 4);
  const Report report = MakeReport(model, &other, divisions, candidates, {});
  const Figure gap_key = {.name = "skew_gap", .attribute = "gender"};
  double gaps[2] = {0, 0};
  for (const Answers* answers : {&model, &other}) {
    const std::vector<Figure>& figures =
        answers == &model ? report.figures : report.against_figures;
    double share[2][4] = {}, all[4] = {};
    double sizes[2] = {0, 0};
    for (int row = 0; row < kRows; ++row) {
      if (row % 3 == 0) continue;
      ++sizes[row % 3 - 1];
    }
    for (int row = 0; row < kRows; ++row) {
      if (row % 3 == 0) continue;
      share[row % 3 - 1][answers->assigned[row]] += 1 / sizes[row % 3 - 1];
      all[answers->assigned[row]] += 1 / (sizes[0] + sizes[1]);
    }
    double gap = 0, kl_all = 0;
    for (int c = 0; c < 4; ++c) {
      gap = std::max(gap, std::abs(share[0][c] - share[1][c]));
      kl_all += all[c] * std::log(all[c] / 0.25);
    }
    gaps[answers == &model ? 0 : 1] = gap;
    EXPECT_NEAR(Find(figures, gap_key)->value, gap, 1e-12);
    EXPECT_NEAR(
        Find(figures, {.name = "skew_kl", .attribute = "gender"})->value,
        kl_all, 1e-12);
    for (int group = 0; group < 2; ++group) {
      double kl = 0;
      for (int c = 0; c < 4; ++c) {
        if (share[group][c] > 0) {
          kl += share[group][c] * std::log(share[group][c] / 0.25);
        }
        const Figure* of_candidate =
            Find(figures, {.name = "skew_share",
                           .attribute = "gender",
                           .group = divisions[1].names[group],
                           .candidate = candidates[c]});
        ASSERT_NE(of_candidate, nullptr);
        EXPECT_NEAR(of_candidate->value, share[group][c], 1e-12);
        EXPECT_EQ(of_candidate->count, sizes[group]);
      }
      EXPECT_NEAR(Find(figures, {.name = "skew_kl",
                                 .attribute = "gender",
                                 .group = divisions[1].names[group]})
                      ->value,
                  kl, 1e-12);
    }
  }
  const Comparison* comparison = Find(report, gap_key);
  EXPECT_NEAR(comparison->difference.value, gaps[0] - gaps[1], 1e-12);
  EXPECT_EQ(comparison->p_value, std::nullopt);
  EXPECT_LT(comparison->difference.interval->low,
            comparison->difference.interval->high);
}

TEST(FiguresTest, OfManySharesThoseOfTheCandidatesWithMostRowsStay) {
  constexpr int kTaken = 600;
  Answers model;
  std::vector<std::string> candidates;
  Division division = {
      .attribute = "g", .names = {"x", "y"}, .part_of_row = {}};
  // The first hundred have one row, the others two.
  for (int candidate = 0; candidate < kTaken; ++candidate) {
    candidates.push_back(std::to_string(candidate));
    for (int i = 0; i < (candidate < 100 ? 1 : 2); ++i) {
      model.assigned.push_back(candidate);
      division.part_of_row.push_back(
          static_cast<int64_t>(model.assigned.size() % 2));
    }
  }
  const Report report =
      MakeReport(model, nullptr, {division}, candidates, {.resamples = 10});
  int shares = 0;
  for (const Figure& figure : report.figures) {
    if (figure.name != "skew_share") continue;
    ++shares;
    EXPECT_GE(std::stoi(figure.candidate), 100);
  }
  EXPECT_EQ(shares, 1'000);
}

TEST(FiguresTest, AVersionComparedWithItselfDiffersNowhere) {
  const Answers model = RandomAnswers(1, 3);
  const Report report =
      MakeReport(model, &model, TwoDivisions(), {"a", "b", "c"}, {});
  EXPECT_EQ(report.figures, report.against_figures);
  EXPECT_THAT(report.comparisons, SizeIs(report.figures.size()));
  for (const Comparison& comparison : report.comparisons) {
    EXPECT_EQ(comparison.difference.value, 0);
    EXPECT_EQ(*comparison.difference.interval, (statistics::Interval{0, 0}));
    EXPECT_EQ(comparison.p_value.value_or(1), 1);
  }
}

TEST(FiguresTest, WithoutAnotherVersionNothingIsCompared) {
  const Report report = MakeReport(RandomAnswers(1, 3), nullptr, TwoDivisions(),
                                   {"a", "b", "c"}, {});
  EXPECT_THAT(report.against_figures, IsEmpty());
  EXPECT_THAT(report.comparisons, IsEmpty());
  EXPECT_NE(Find(report.figures, {.name = "skew_gap", .attribute = "gender"}),
            nullptr);
}

TEST(FiguresTest, AReportSaysThatItGetsOn) {
  int pieces = 0;
  const statistics::BootstrapOptions options = {.resamples = 50};
  const Answers model = RandomAnswers(1, 3);
  const auto worked = [&pieces] { ++pieces; };
  const Report whole =
      MakeReport(model, nullptr, {}, {"a", "b", "c"}, options, worked);
  EXPECT_EQ(pieces, 2);
  pieces = 0;
  const Report report = MakeReport(model, nullptr, TwoDivisions(),
                                   {"a", "b", "c"}, options, worked);
  // A statistic of groups, of which there are 4, is long itself.
  EXPECT_GE(pieces, 4 * options.resamples);
  EXPECT_GT(report.figures.size(), whole.figures.size());
}

TEST(FiguresTest, RowsThatAreNoImagesHaveNoParts) {
  Answers answers;
  answers.outcomes = {{"recall_at_1_text", {0, 1}, {1, 0}, false}};
  answers.assigned = {0, 1};
  const std::vector<Division> divisions = {
      {.attribute = "", .names = {"x", "y"}, .part_of_row = {0, 1}}};
  EXPECT_THAT(MakeReport(answers, nullptr, divisions, {"x", "y"}, {}).figures,
              SizeIs(1));
}

TEST(FiguresTest, ACandidateThatNobodyTakesAndAPartWithoutRowsAreAbsent) {
  Answers answers;
  answers.outcomes = {{"clean_top1", {0, 1}, {1, 0}}};
  answers.assigned = {2, 2, kNoCandidate, 2};
  const std::vector<Division> divisions = {
      {.attribute = "g", .names = {"x", "y"}, .part_of_row = {0, 0, 1, 1}}};
  const Report report =
      MakeReport(answers, nullptr, divisions, {"a", "b", "c"}, {});
  EXPECT_EQ(Find(report.figures, {.name = "skew_share",
                                  .attribute = "g",
                                  .group = "x",
                                  .candidate = "a"}),
            nullptr);
  EXPECT_EQ(Find(report.figures,
                 {.name = "clean_top1", .attribute = "g", .group = "y"}),
            nullptr);
  // Half of y is assigned to nothing.
  EXPECT_EQ(Find(report.figures, {.name = "skew_gap", .attribute = "g"})->value,
            0.5);
}

}  // namespace
}  // namespace attune::evaluate
