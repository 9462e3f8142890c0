#include "server/core/inference/zero_shot.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int kDimensions = 16;

std::vector<float> RandomUnitRows(int rows, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<float> values;
  for (int row = 0; row < rows; ++row) {
    double norm = 0;
    std::vector<double> vector(kDimensions);
    for (double& value : vector) {
      value = normal(random);
      norm += value * value;
    }
    for (double value : vector) {
      values.push_back(static_cast<float>(value / std::sqrt(norm)));
    }
  }
  return values;
}

TEST(ZeroShotTest, ProbabilitiesEqualAnIndependentSoftmax) {
  const std::vector<float> image = RandomUnitRows(1, 1);
  const std::vector<float> labels = RandomUnitRows(7, 2);
  constexpr double kScale = 100;
  // In extended precision and without the shift by the largest logit.
  std::vector<long double> weight(7);
  long double sum = 0;
  for (int i = 0; i < 7; ++i) {
    long double dot = 0;
    for (int d = 0; d < kDimensions; ++d) {
      dot += static_cast<long double>(image[d]) * labels[i * kDimensions + d];
    }
    weight[i] = std::exp(kScale * dot);
    sum += weight[i];
  }
  const auto scores = ClassifyImage(image, labels, kScale, 0);
  ASSERT_EQ(scores.size(), 7u);
  double total = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    EXPECT_NEAR(scores[i].probability,
                static_cast<double>(weight[scores[i].label] / sum), 1e-12);
    if (i > 0) {
      EXPECT_GE(scores[i - 1].probability, scores[i].probability);
    }
    total += scores[i].probability;
  }
  EXPECT_NEAR(total, 1, 1e-12);
}

TEST(ZeroShotTest, HugeLogitsDoNotOverflow) {
  const std::vector<float> image = {1, 0};
  const std::vector<float> labels = {1, 0, -1, 0};
  const auto scores = ClassifyImage(image, labels, 1e6, 0);
  EXPECT_EQ(scores[0].label, 0);
  EXPECT_EQ(scores[0].probability, 1);
  EXPECT_EQ(scores[1].probability, 0);
}

TEST(ZeroShotTest, TopKKeepsProbabilitiesOverAllLabels) {
  const std::vector<float> image = RandomUnitRows(1, 3);
  const std::vector<float> labels = RandomUnitRows(20, 4);
  const auto all = ClassifyImage(image, labels, 10, 0);
  const auto best = ClassifyImage(image, labels, 10, 3);
  ASSERT_EQ(best.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(best[i].label, all[i].label);
    EXPECT_EQ(best[i].probability, all[i].probability);
  }
  EXPECT_EQ(ClassifyImage(image, labels, 10, 50).size(), 20u);
}

TEST(ZeroShotTest, EqualLabelsKeepTheirOrder) {
  const std::vector<float> image = {1, 0};
  const std::vector<float> labels = {0, 1, 1, 0, 0, 1, 1, 0};
  std::vector<int64_t> order;
  for (const auto& score : ClassifyImage(image, labels, 1, 0)) {
    order.push_back(score.label);
  }
  EXPECT_THAT(order, ElementsAre(1, 3, 0, 2));
}

TEST(ZeroShotTest, TemplatesAreAveragedAndNormalised) {
  const std::vector<float> prompts = RandomUnitRows(6, 5);
  const std::vector<float> labels = AverageTemplates(prompts, 3, kDimensions);
  ASSERT_EQ(labels.size(), 2u * kDimensions);
  for (int label = 0; label < 2; ++label) {
    long double mean[kDimensions] = {};
    long double square = 0;
    for (int d = 0; d < kDimensions; ++d) {
      for (int k = 0; k < 3; ++k) {
        mean[d] += prompts[(3 * label + k) * kDimensions + d] / 3.0L;
      }
      square += mean[d] * mean[d];
    }
    for (int d = 0; d < kDimensions; ++d) {
      EXPECT_NEAR(labels[label * kDimensions + d],
                  static_cast<double>(mean[d] / std::sqrt(square)), 1e-7);
    }
  }
}

TEST(ZeroShotTest, OneTemplateKeepsTheEmbeddings) {
  const std::vector<float> prompts = RandomUnitRows(2, 6);
  EXPECT_EQ(AverageTemplates(prompts, 1, kDimensions), prompts);
}

TEST(ZeroShotTest, OppositeTemplatesGiveZerosNotNan) {
  EXPECT_THAT(AverageTemplates(std::vector<float>{1, 0, -1, 0}, 2, 2),
              ElementsAre(0, 0));
}

TEST(ZeroShotTest, PromptsGoLabelByLabel) {
  EXPECT_THAT(MakePrompts({"dog", "cat"}, {"a {}.", "the {}!"}),
              ElementsAre("a dog.", "the dog!", "a cat.", "the cat!"));
  EXPECT_THAT(MakePrompts({"dog", "cat"}, {}), ElementsAre("dog", "cat"));
}

TEST(ZeroShotTest, BadLabelsAreRefused) {
  EXPECT_THAT(ValidateLabels({}, {}), HasError(kInvalid, "INVALID_LABELS"));
  EXPECT_THAT(ValidateLabels({"dog", "cat", "dog"}, {}),
              HasError(kInvalid, "INVALID_LABELS"));
  EXPECT_THAT(ValidateLabels({"dog", " "}, {}),
              HasError(kInvalid, "INVALID_TEXT"));
  std::vector<std::string> labels;
  for (int i = 0; i <= kMaxLabels; ++i) labels.push_back(absl::StrCat(i));
  EXPECT_THAT(ValidateLabels(labels, {}), HasError(kInvalid, "INVALID_LABELS"));
  labels.pop_back();
  EXPECT_THAT(ValidateLabels(labels, {}), IsOk());
  EXPECT_THAT(ValidateLabels(labels, std::vector<std::string>(11, "a {}")),
              HasError(kInvalid, "INVALID_TEMPLATES"));
}

TEST(ZeroShotTest, TemplateNeedsItsPlaceholderOnce) {
  EXPECT_THAT(ValidateLabels({"dog"}, {"a photo of a {}."}), IsOk());
  for (const char* text : {"a photo", "{} and {}", "{", ""}) {
    EXPECT_EQ(ValidateLabels({"dog"}, {text}).code(), kInvalid) << text;
  }
}

}  // namespace
}  // namespace attune::core
