#include "worker/model/text_batch.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include <cmath>

#include "common/error.h"

namespace attune::model {
namespace {

using testing::ElementsAre;

const ClipConfig kConfig = {.context_length = 5, .vocabulary_size = 10};

std::vector<int64_t> List(const at::Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(),
          tensor.data_ptr<int64_t>() + tensor.numel()};
}

// Which rows each row attends to, as 0 and 1.
std::vector<std::vector<int>> Attended(const at::Tensor& mask) {
  std::vector<std::vector<int>> rows(mask.size(0));
  for (int64_t row = 0; row < mask.size(0); ++row) {
    for (int64_t column = 0; column < mask.size(1); ++column) {
      rows[row].push_back(mask[row][column].item<float>() == 0);
    }
  }
  return rows;
}

TEST(PackTextsTest, SharesCommonBeginnings) {
  const TextBatch batch =
      *PackTexts({{8, 2, 9}, {8, 1, 3, 9}, {8, 1, 9}, {8, 2, 9}}, kConfig);
  EXPECT_EQ(batch.text_count(), 4);
  EXPECT_THAT(List(batch.tokens), ElementsAre(8, 1, 3, 9, 9, 2, 9));
  EXPECT_THAT(List(batch.positions), ElementsAre(0, 1, 2, 3, 2, 1, 2));
  EXPECT_THAT(List(batch.readout_rows), ElementsAre(3, 4, 6));
  EXPECT_THAT(List(batch.text_index), ElementsAre(2, 0, 1, 2));
  ASSERT_EQ(batch.groups.size(), 1u);
  EXPECT_EQ(batch.groups[0].rows, 7);
  EXPECT_EQ(batch.groups[0].readouts, 3);
  EXPECT_THAT(
      Attended(batch.groups[0].mask),
      ElementsAre(
          ElementsAre(1, 0, 0, 0, 0, 0, 0), ElementsAre(1, 1, 0, 0, 0, 0, 0),
          ElementsAre(1, 1, 1, 0, 0, 0, 0), ElementsAre(1, 1, 1, 1, 0, 0, 0),
          ElementsAre(1, 1, 0, 0, 1, 0, 0), ElementsAre(1, 0, 0, 0, 0, 1, 0),
          ElementsAre(1, 0, 0, 0, 0, 1, 1)));
  EXPECT_THAT(Attended(batch.groups[0].readout_mask),
              ElementsAre(ElementsAre(1, 1, 1, 1, 0, 0, 0),
                          ElementsAre(1, 1, 0, 0, 1, 0, 0),
                          ElementsAre(1, 0, 0, 0, 0, 1, 1)));
}

TEST(PackTextsTest, ANewGroupBeginsAnew) {
  const TextBatch batch =
      *PackTexts({{8, 1, 9}, {8, 2, 9}, {8, 3, 9}}, kConfig, 4);
  EXPECT_THAT(List(batch.tokens), ElementsAre(8, 1, 9, 2, 9, 8, 3, 9));
  EXPECT_THAT(List(batch.readout_rows), ElementsAre(2, 4, 7));
  ASSERT_EQ(batch.groups.size(), 2u);
  EXPECT_EQ(batch.groups[0].rows, 5);
  EXPECT_EQ(batch.groups[0].readouts, 2);
  EXPECT_EQ(batch.groups[1].rows, 3);
  EXPECT_EQ(batch.groups[1].readouts, 1);
}

TEST(PackTextsTest, PaddingIsCutAfterTheEnd) {
  const TextBatch batch = *PackTexts(
      {{8, 1, 9, 0, 0, 0, 0, 0}, {8, 1, 9, 9, 9, 9, 9}, {8, 1, 9}}, kConfig);
  EXPECT_EQ(batch.row_count(), 3);
  EXPECT_THAT(List(batch.text_index), ElementsAre(0, 0, 0));
}

TEST(PackTextsTest, NoTextsAreAnEmptyBatch) {
  const TextBatch batch = *PackTexts({}, kConfig);
  EXPECT_EQ(batch.text_count(), 0);
  EXPECT_EQ(batch.row_count(), 0);
}

TEST(PackTextsTest, TextsThatDoNotFitAreRefusedByNumber) {
  const std::vector<int32_t> good = {8, 9};
  const std::pair<std::vector<int32_t>, std::string> kWrong[] = {
      {{}, "text 1 has no tokens"},
      {{8, 1, 2, 3, 4, 9}, "text 1 has 6 tokens; the model takes 5"},
      {{8, -1, 9}, "text 1 has the token -1"},
      {{8, 10}, "text 1 has the token 10"}};
  for (const auto& [row, message] : kWrong) {
    for (const absl::Status& status :
         {PackTexts({good, row}, kConfig).status(),
          SeparateTexts({good, row}, kConfig).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_EQ(ErrorReason(status), "INVALID_TOKENS");
      EXPECT_THAT(status.message(), testing::HasSubstr(message));
    }
  }
}

TEST(SeparateTextsTest, SharesNothing) {
  const TextBatch batch = *SeparateTexts({{8, 1, 9}, {8, 1, 9}}, kConfig);
  EXPECT_THAT(List(batch.tokens), ElementsAre(8, 1, 9, 8, 1, 9));
  EXPECT_EQ(batch.groups.size(), 2u);
  EXPECT_THAT(Attended(batch.groups[1].mask),
              ElementsAre(ElementsAre(1, 0, 0), ElementsAre(1, 1, 0),
                          ElementsAre(1, 1, 1)));
}

// Every row's state is its token and position, so each text must find its own.
TEST(StatesOfTexts, GiveEveryTextItsRowsAndTakeThemBack) {
  const std::vector<std::vector<int32_t>> texts = {
      {8, 3, 4, 9}, {8, 3, 9}, {8, 3, 4, 5, 9}, {8, 3, 9}};
  for (int64_t rows_per_group : {1, 256}) {
    const TextBatch batch = *PackTexts(texts, kConfig, rows_per_group);
    const at::Tensor rows =
        at::stack({batch.tokens, batch.positions}, 1).to(at::kFloat);
    const at::Tensor states = StatesOfTexts(batch, rows);
    ASSERT_EQ(states.sizes(), (std::vector<int64_t>{4, 5, 2}));
    for (int64_t text = 0; text < 4; ++text) {
      for (size_t depth = 0; depth < texts[text].size(); ++depth) {
        const at::Tensor state = states[text][static_cast<int64_t>(depth)];
        EXPECT_EQ(state[0].item<int>(), texts[text][depth]);
        EXPECT_EQ(state[1].item<int>(), static_cast<int>(depth));
      }
    }
    EXPECT_TRUE(at::equal(StatesOfRows(batch, states), rows));
    const at::Tensor longer = at::constant_pad_nd(states, {0, 0, 0, 3});
    EXPECT_TRUE(at::equal(StatesOfRows(batch, longer), rows));
  }
}

}  // namespace
}  // namespace attune::model
