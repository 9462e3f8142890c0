#include "worker/evaluate/figures.h"

#include <ATen/Functions.h>

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::evaluate {
namespace {

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

TEST(ZeroShot, CountsCleanAndAttackedRowsApart) {
  const at::Tensor images = Rows({{.9f, .1f, 0, 0, 0, 0},
                                  {.5f, .6f, .4f, .3f, .2f, .1f},
                                  {.1f, .6f, .5f, .4f, .3f, .2f},
                                  {.9f, .8f, 0, 0, 0, 0},
                                  {.8f, .9f, 0, 0, 0, 0},
                                  {0, 0, .9f, 0, 0, 0}});
  EXPECT_THAT(ZeroShotFigures(images, UnitVectors(6), {0, 0, 0, 0, 0, 0},
                              {kNoAttack, kNoAttack, kNoAttack, 1, 1, 1}),
              ElementsAre(Figure{"clean_top1", 1. / 3, 3},
                          Figure{"clean_top5", 2. / 3, 3},
                          Figure{"attacked_top1", 1. / 3, 3},
                          Figure{"attack_success", 1. / 3, 3}));
}

TEST(ZeroShot, FigureWithoutRowsIsAbsent) {
  EXPECT_THAT(
      ZeroShotFigures(Rows({{1, 0}}), UnitVectors(2), {0}, {kNoAttack}),
      ElementsAre(Figure{"clean_top1", 1, 1}, Figure{"clean_top5", 1, 1}));
  EXPECT_THAT(ZeroShotFigures(Rows({{1, 0}}), UnitVectors(2), {0}, {1}),
              ElementsAre(Figure{"attacked_top1", 1, 1},
                          Figure{"attack_success", 0, 1}));
  EXPECT_THAT(ZeroShotFigures(at::zeros({0, 2}), UnitVectors(2), {}, {}),
              IsEmpty());
}

TEST(ZeroShot, SayingTheSameOfEverythingIsNoAnswer) {
  const at::Tensor images = Rows({{.5f, .5f}, {.5f, .5f}});
  EXPECT_EQ(ZeroShotFigures(images, UnitVectors(2), {0, 1},
                            {kNoAttack, kNoAttack})[0],
            (Figure{"clean_top1", .5, 2}));
}

TEST(ZeroShot, NotANumberIsNeverRight) {
  const at::Tensor images = Rows({{NAN, NAN}, {NAN, NAN}});
  for (const Figure& figure :
       ZeroShotFigures(images, UnitVectors(2), {0, 1}, {kNoAttack, 0})) {
    if (figure.name == "clean_top5") continue;
    EXPECT_EQ(figure.value, 0) << figure.name;
  }
  EXPECT_EQ(PairFigures(images, UnitVectors(2), {0, 1}, {1, 0})[0].value, 0);
}

TEST(ZeroShot, ManyRowsAreScoredInBlocks) {
  const at::Tensor labels = at::arange(3000) % 7;
  const at::Tensor images = at::one_hot(labels, 7).to(at::kFloat);
  const int64_t* first = labels.const_data_ptr<int64_t>();
  EXPECT_THAT(ZeroShotFigures(images, UnitVectors(7), {first, first + 3000},
                              std::vector<int64_t>(3000, kNoAttack)),
              ElementsAre(Figure{"clean_top1", 1, 3000},
                          Figure{"clean_top5", 1, 3000}));
}

TEST(Pairs, PreferredMustBeStrictlyAbove) {
  const at::Tensor images = Rows({{.9f, .1f, 0}, {.2f, .3f, 0}, {.4f, .4f, 0}});
  EXPECT_THAT(PairFigures(images, UnitVectors(3), {0, 0, 0}, {1, 1, 1}),
              ElementsAre(Figure{"pair_accuracy", 1. / 3, 3}));
}

TEST(Retrieval, RanksTextsForImagesAndImagesForTexts) {
  // Images 0 and 1 have caption 0, image 2 has caption 1, text 2 distracts.
  const at::Tensor images =
      Rows({{.9f, .1f, .2f}, {.1f, .2f, .3f}, {.95f, .5f, .6f}});
  EXPECT_THAT(RetrievalFigures(images, UnitVectors(3), {0, 0, 1}),
              ElementsAre(Figure{"recall_at_1_image", 1. / 3, 3},
                          Figure{"recall_at_5_image", 1, 3},
                          Figure{"recall_at_10_image", 1, 3},
                          Figure{"recall_at_1_text", 1. / 2, 2},
                          Figure{"recall_at_5_text", 1, 2},
                          Figure{"recall_at_10_text", 1, 2}));
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
  for (const Figure& figure : RetrievalFigures(images, texts, captions)) {
    if (figure.name.find("_image") == std::string::npos) continue;
    const int64_t k = figure.name == "recall_at_1_image"   ? 1
                      : figure.name == "recall_at_5_image" ? 5
                                                           : 10;
    EXPECT_NEAR(figure.value, hits.narrow(1, 0, k).sum().item<double>() / count,
                1e-12)
        << figure.name;
  }
}

TEST(Templates, AreNormalisedAveragedAndNormalised) {
  // (3, 4)/5 and (0, 1): mean (.3, .9), norm √.9.
  const at::Tensor averaged =
      AverageTemplates(at::tensor({3.f, 4.f, 0.f, 2.f}).reshape({1, 2, 2}));
  EXPECT_NEAR(averaged[0][0].item<double>(), .3 / std::sqrt(.9), 1e-6);
  EXPECT_NEAR(averaged[0][1].item<double>(), .9 / std::sqrt(.9), 1e-6);
}

}  // namespace
}  // namespace attune::evaluate
