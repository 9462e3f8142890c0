#include "server/services/job_codec.h"

#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::services {
namespace {

using ::testing::SizeIs;

storage::Figure PartFigure() {
  storage::Figure figure = {"skew_share", 0.25, 8};
  figure.low = 0.125;
  figure.high = 0.5;
  figure.attribute = "gender";
  figure.group = "woman";
  figure.candidate = "a nurse";
  return figure;
}

storage::Evaluation AnEvaluation() {
  storage::Evaluation evaluation;
  evaluation.job_id = "job-1";
  evaluation.model = "robust:1";
  evaluation.against = "base:1";
  storage::Figure by_class = {"clean_top1", 1, 3};
  by_class.class_label = "a dog";
  evaluation.figures = {{"clean_top1", 0.5, 9}, PartFigure(), by_class};
  evaluation.against_figures = {{"clean_top1", 0.75, 9}, PartFigure()};
  storage::FigureComparison whole;
  whole.difference = {"clean_top1", -0.25, 9};
  whole.only_model = 1;
  whole.only_against = 3;
  whole.p_value = 0.625;
  storage::FigureComparison part;
  part.difference = PartFigure();
  evaluation.comparisons = {whole, part};
  return evaluation;
}

TEST(JobCodecTest, FiguresOfPartsAreApartFromThoseOfAllExamples) {
  const v1::Evaluation proto = ToProto(AnEvaluation());
  ASSERT_THAT(proto.figures(), SizeIs(1));
  EXPECT_EQ(proto.figures(0).value(), 0.5);
  EXPECT_FALSE(proto.figures(0).has_low());
  ASSERT_THAT(proto.part_figures(), SizeIs(2));
  EXPECT_EQ(proto.part_figures(0).low(), 0.125);
  EXPECT_EQ(proto.part_figures(0).high(), 0.5);
  EXPECT_EQ(proto.part_figures(0).attribute(), "gender");
  EXPECT_EQ(proto.part_figures(0).group(), "woman");
  EXPECT_EQ(proto.part_figures(0).candidate(), "a nurse");
  EXPECT_EQ(proto.part_figures(1).class_label(), "a dog");
  EXPECT_THAT(proto.against_part_figures(), SizeIs(1));
  ASSERT_THAT(proto.comparisons(), SizeIs(2));
  EXPECT_EQ(proto.comparisons(0).difference().value(), -0.25);
  EXPECT_EQ(proto.comparisons(0).only_model(), 1);
  EXPECT_EQ(proto.comparisons(0).only_against(), 3);
  EXPECT_EQ(proto.comparisons(0).p_value(), 0.625);
  EXPECT_FALSE(proto.comparisons(1).has_p_value());
}

TEST(JobCodecTest, ASummaryHasNoPartsAtAll) {
  const v1::Evaluation proto = ToSummaryProto(AnEvaluation());
  EXPECT_EQ(proto.model(), "robust:1");
  EXPECT_THAT(proto.figures(), SizeIs(1));
  EXPECT_THAT(proto.part_figures(), SizeIs(0));
  EXPECT_THAT(proto.against_part_figures(), SizeIs(0));
  EXPECT_THAT(proto.comparisons(), SizeIs(1));
}

TEST(JobCodecTest, AKnobOfZeroIsNotAnUnsetOne) {
  storage::EvaluateSpec spec;
  storage::Evaluation evaluation;
  EXPECT_FALSE(ToProto(spec).has_t());
  EXPECT_FALSE(ToProto(evaluation).has_t());
  EXPECT_EQ(FromProto(ToProto(spec)).t, std::nullopt);
  spec.t = evaluation.t = 0;
  EXPECT_TRUE(ToProto(spec).has_t());
  EXPECT_TRUE(ToSummaryProto(evaluation).has_t());
  EXPECT_EQ(FromProto(ToProto(spec)).t, 0);
}

TEST(JobCodecTest, AComparisonComesBackAsItWasSent) {
  storage::FigureComparison sent;
  sent.difference = PartFigure();
  sent.difference.class_label = "a dog";
  sent.only_model = 4;
  sent.only_against = 5;
  sent.p_value = 0;
  storage::Evaluation evaluation;
  evaluation.comparisons = {sent};
  const storage::FigureComparison back =
      FromProto(ToProto(evaluation).comparisons(0));
  EXPECT_EQ(back.difference.name, "skew_share");
  EXPECT_EQ(back.difference.value, 0.25);
  EXPECT_EQ(back.difference.count, 8);
  EXPECT_EQ(back.difference.low, 0.125);
  EXPECT_EQ(back.difference.high, 0.5);
  EXPECT_EQ(back.difference.class_label, "a dog");
  EXPECT_EQ(back.difference.attribute, "gender");
  EXPECT_EQ(back.difference.group, "woman");
  EXPECT_EQ(back.difference.candidate, "a nurse");
  EXPECT_EQ(back.only_model, 4);
  EXPECT_EQ(back.only_against, 5);
  EXPECT_EQ(back.p_value, 0);
}

}  // namespace
}  // namespace attune::services
