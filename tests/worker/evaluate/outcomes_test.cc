#include "worker/evaluate/outcomes.h"

#include <ATen/Functions.h>

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::evaluate {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;

// Against the unit vectors as texts, an image's row is its scores.
at::Tensor Rows(const std::vector<std::vector<float>>& rows) {
  std::vector<float> values;
  for (const auto& row : rows) {
    values.insert(values.end(), row.begin(), row.end());
  }
  return at::tensor(values).reshape({static_cast<int64_t>(rows.size()), -1});
}

at::Tensor UnitVectors(int64_t count) { return at::eye(count); }

std::vector<Outcomes> OfImages(std::vector<Outcomes> outcomes) {
  std::erase_if(outcomes, [](const Outcomes& each) { return !each.of_images; });
  return outcomes;
}

TEST(ZeroShot, CountsCleanAndAttackedRowsApart) {
  const at::Tensor images = Rows({{.9f, .1f, 0, 0, 0, 0},
                                  {.5f, .6f, .4f, .3f, .2f, .1f},
                                  {.1f, .6f, .5f, .4f, .3f, .2f},
                                  {.9f, .8f, 0, 0, 0, 0},
                                  {.8f, .9f, 0, 0, 0, 0},
                                  {0, 0, .9f, 0, 0, 0}});
  EXPECT_THAT(ZeroShotOutcomes(images, UnitVectors(6), {0, 0, 0, 0, 0, 0},
                               {kNoAttack, kNoAttack, kNoAttack, 1, 1, 1}),
              ElementsAre(Outcomes{"clean_top1", {0, 1, 2}, {1, 0, 0}},
                          Outcomes{"clean_top5", {0, 1, 2}, {1, 1, 0}},
                          Outcomes{"attacked_top1", {3, 4, 5}, {1, 0, 0}},
                          Outcomes{"attack_success", {3, 4, 5}, {0, 1, 0}}));
}

TEST(ZeroShot, WhatHasNoRowsIsAbsent) {
  EXPECT_THAT(
      ZeroShotOutcomes(Rows({{1, 0}}), UnitVectors(2), {0}, {kNoAttack}),
      ElementsAre(Outcomes{"clean_top1", {0}, {1}},
                  Outcomes{"clean_top5", {0}, {1}}));
  EXPECT_THAT(ZeroShotOutcomes(Rows({{1, 0}}), UnitVectors(2), {0}, {1}),
              ElementsAre(Outcomes{"attacked_top1", {0}, {1}},
                          Outcomes{"attack_success", {0}, {0}}));
  EXPECT_THAT(ZeroShotOutcomes(at::zeros({0, 2}), UnitVectors(2), {}, {}),
              IsEmpty());
}

TEST(ZeroShot, SayingTheSameOfEverythingIsNoAnswer) {
  const at::Tensor images = Rows({{.5f, .5f}, {.5f, .5f}});
  EXPECT_EQ(ZeroShotOutcomes(images, UnitVectors(2), {0, 1},
                             {kNoAttack, kNoAttack})[0],
            (Outcomes{"clean_top1", {0, 1}, {1, 0}}));
}

TEST(ZeroShot, NotANumberIsNeverRight) {
  const at::Tensor images = Rows({{NAN, NAN}, {NAN, NAN}});
  for (const Outcomes& each :
       ZeroShotOutcomes(images, UnitVectors(2), {0, 1}, {kNoAttack, 0})) {
    if (each.name == "clean_top5") continue;
    EXPECT_THAT(each.counts, Each(0)) << each.name;
  }
  EXPECT_THAT(PairOutcomes(images, UnitVectors(2), {0, 1}, {1, 0}).counts,
              Each(0));
  EXPECT_THAT(AssignedCandidates(images, UnitVectors(2)), Each(kNoCandidate));
}

TEST(ZeroShot, ManyRowsAreScoredInBlocks) {
  const at::Tensor labels = at::arange(3000) % 7;
  const at::Tensor images = at::one_hot(labels, 7).to(at::kFloat);
  const int64_t* first = labels.const_data_ptr<int64_t>();
  const std::vector<int64_t> expected(first, first + 3000);
  for (const Outcomes& each :
       ZeroShotOutcomes(images, UnitVectors(7), expected,
                        std::vector<int64_t>(3000, kNoAttack))) {
    EXPECT_EQ(each.rows.size(), 3000);
    EXPECT_THAT(each.counts, Each(1));
  }
  EXPECT_EQ(AssignedCandidates(images, UnitVectors(7)), expected);
}

TEST(Pairs, PreferredMustBeStrictlyAbove) {
  const at::Tensor images = Rows({{.9f, .1f, 0}, {.2f, .3f, 0}, {.4f, .4f, 0}});
  EXPECT_EQ(PairOutcomes(images, UnitVectors(3), {0, 0, 0}, {1, 1, 1}),
            (Outcomes{"pair_accuracy", {0, 1, 2}, {1, 0, 0}}));
}

TEST(Assigned, IsTheBestCandidateTheFirstOfEqualOnesOrNone) {
  const at::Tensor images =
      Rows({{.1f, .9f, 0}, {.4f, .4f, .1f}, {0, NAN, -1}});
  EXPECT_THAT(AssignedCandidates(images, UnitVectors(3)),
              ElementsAre(1, 0, kNoCandidate));
}

TEST(Retrieval, RanksTextsForImagesAndImagesForTexts) {
  // Images 0 and 1 have caption 0, image 2 has caption 1, text 2 distracts.
  const at::Tensor images =
      Rows({{.9f, .1f, .2f}, {.1f, .2f, .3f}, {.95f, .5f, .6f}});
  EXPECT_THAT(
      RetrievalOutcomes(images, UnitVectors(3), {0, 0, 1}),
      ElementsAre(Outcomes{"recall_at_1_image", {0, 1, 2}, {1, 0, 0}},
                  Outcomes{"recall_at_5_image", {0, 1, 2}, {1, 1, 1}},
                  Outcomes{"recall_at_10_image", {0, 1, 2}, {1, 1, 1}},
                  Outcomes{"recall_at_1_text", {0, 1}, {0, 1}, false},
                  Outcomes{"recall_at_5_text", {0, 1}, {1, 1}, false},
                  Outcomes{"recall_at_10_text", {0, 1}, {1, 1}, false}));
}

TEST(Retrieval, RecallEqualsAFullSortOnRandomEmbeddings) {
  at::manual_seed(1);
  const int64_t count = 40;
  const at::Tensor images = at::randn({count, 16});
  const at::Tensor texts = images + 0.9 * at::randn({count, 16});
  std::vector<int64_t> captions(count);
  for (int64_t i = 0; i < count; ++i) captions[i] = i;
  const at::Tensor order =
      at::argsort(at::matmul(images, texts.t()), 1, /*descending=*/true);
  const at::Tensor hits = order == at::arange(count).unsqueeze(1);
  for (const Outcomes& each :
       OfImages(RetrievalOutcomes(images, texts, captions))) {
    const int64_t k = each.name == "recall_at_1_image"   ? 1
                      : each.name == "recall_at_5_image" ? 5
                                                         : 10;
    const at::Tensor expected = hits.narrow(1, 0, k).any(1);
    for (int64_t i = 0; i < count; ++i) {
      EXPECT_EQ(each.counts[i] != 0, expected[i].item<bool>())
          << each.name << " " << i;
    }
  }
}

TEST(Templates, AreNormalisedAveragedAndNormalised) {
  // (3, 4)/5 and (0, 1): mean (.3, .9), norm √.9.
  const at::Tensor averaged =
      AverageTemplates(at::tensor({3.f, 4.f, 0.f, 2.f}).reshape({1, 2, 2}));
  EXPECT_NEAR(averaged[0][0].item<double>(), .3 / std::sqrt(.9), 1e-6);
  EXPECT_NEAR(averaged[0][1].item<double>(), .9 / std::sqrt(.9), 1e-6);
}

TEST(WorkListener, IsCalledForEveryBlockOfQueries) {
  constexpr int64_t kImages = 3'000, kTexts = 5;
  const at::Tensor images = at::ones({kImages, 2}),
                   texts = at::ones({kTexts, 2});
  const std::vector<int64_t> zeros(kImages, 0);
  int pieces = 0;
  const auto of = [&](const auto& function) {
    pieces = 0;
    function([&pieces] { ++pieces; });
    return pieces;
  };
  EXPECT_EQ(of([&](const WorkListener& worked) {
              RetrievalOutcomes(images, texts, zeros, worked);
            }),
            3 + 1);
  EXPECT_EQ(of([&](const WorkListener& worked) {
              ZeroShotOutcomes(images, texts, zeros, zeros, worked);
            }),
            3);
  EXPECT_EQ(of([&](const WorkListener& worked) {
              PairOutcomes(images, texts, zeros, zeros, worked);
            }),
            3);
  EXPECT_EQ(of([&](const WorkListener& worked) {
              AssignedCandidates(images, texts, worked);
            }),
            3);
}

}  // namespace
}  // namespace attune::evaluate
