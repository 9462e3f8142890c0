#include "client/commands/sweep_table.h"

#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::client {
namespace {

using testing::ElementsAre;

SweepRow Row(const std::string& beta, double attacked, double clean) {
  return {.values = {{"beta", beta}},
          .job_id = "job-" + beta,
          .version = "robust-" + beta + ":1",
          .state = v1::JOB_STATE_SUCCEEDED,
          .figures = {{"attacked_top1", attacked}, {"clean_top1", clean}}};
}

std::vector<SweepRow> Rows() {
  std::vector<SweepRow> rows = {Row("", 0.25, 0.875), Row("1", 0.5, 0.75),
                                Row(".5", 0.5, 0.5), Row("2", 0.75, 0.75)};
  rows[0].values.clear();
  rows[0].job_id.clear();
  rows[0].version = "base:1";
  rows[0].state = v1::JOB_STATE_UNSPECIFIED;
  rows.push_back(Row("3", 0, 0));
  rows.back().state = v1::JOB_STATE_FAILED;
  rows.back().version.clear();
  rows.back().figures.clear();
  return rows;
}

std::string Print(SweepFormat format) {
  std::ostringstream out;
  PrintSweep(Rows(), format, out);
  return out.str();
}

TEST(SweepTable, TheFrontIsWhatNoOtherRowBeatsInBoth) {
  EXPECT_THAT(OnFront(Rows()), ElementsAre(true, false, false, true, false));
}

TEST(SweepTable, EqualRowsAreBothOnTheFront) {
  EXPECT_THAT(OnFront({Row("1", 0.5, 0.5), Row("2", 0.5, 0.5)}),
              ElementsAre(true, true));
}

TEST(SweepTable, WithoutAttackedPicturesThePairsDecide) {
  std::vector<SweepRow> rows = {Row("1", 0, 0.5), Row("2", 0, 0.5)};
  for (SweepRow& row : rows) row.figures.erase("attacked_top1");
  rows[0].figures["pair_accuracy"] = 0.5;
  rows[1].figures["pair_accuracy"] = 0.75;
  EXPECT_THAT(OnFront(rows), ElementsAre(false, true));
}

TEST(SweepTable, TextIsATableWithTheBaseFirst) {
  EXPECT_EQ(Print(SweepFormat::kText),
            "BETA  JOB_ID  VERSION      STATE      ATTACKED_TOP1  CLEAN_TOP1  "
            "FRONT\n"
            "              base:1                         0.2500      0.8750  "
            "*\n"
            "   1  job-1   robust-1:1   SUCCEEDED         0.5000      0.7500\n"
            "  .5  job-.5  robust-.5:1  SUCCEEDED         0.5000      0.5000\n"
            "   2  job-2   robust-2:1   SUCCEEDED         0.7500      0.7500  "
            "*\n"
            "   3  job-3                FAILED\n");
}

TEST(SweepTable, CsvHasALineARow) {
  EXPECT_EQ(Print(SweepFormat::kCsv),
            "beta,job_id,version,state,attacked_top1,clean_top1,on_front\n"
            ",,base:1,,0.25,0.875,true\n"
            "1,job-1,robust-1:1,SUCCEEDED,0.5,0.75,false\n"
            ".5,job-.5,robust-.5:1,SUCCEEDED,0.5,0.5,false\n"
            "2,job-2,robust-2:1,SUCCEEDED,0.75,0.75,true\n"
            "3,job-3,,FAILED,,,false\n");
}

TEST(SweepTable, JsonHasNumbersWhereTheyAreOnes) {
  const std::string json = Print(SweepFormat::kJson);
  EXPECT_THAT(
      json,
      testing::HasSubstr(
          R"({"options":{"beta":1},"job_id":"job-1","version":"robust-1:1",)"
          R"("state":"SUCCEEDED","figures":{"attacked_top1":0.5,)"
          R"("clean_top1":0.75},"on_front":false})"));
  EXPECT_THAT(json, testing::HasSubstr(R"({"beta":".5"})"));
}

}  // namespace
}  // namespace attune::client
