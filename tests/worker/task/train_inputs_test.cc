#include "worker/task/train_inputs.h"

#include "common/error.h"
#include "common/grpc/objective_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/content/small_clip.h"
#include "worker/objective/objective.h"
#include "worker/task/checkpoint_schedule.h"
#include "worker/task/checkpoint_writer.h"

namespace attune::task {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::Example MakePair(const std::string& image, const std::string& clean_image) {
  v1::Example example;
  example.set_image_digest(image);
  example.mutable_pair()->set_preferred("a dog");
  example.mutable_pair()->set_rejected("a cat");
  example.mutable_pair()->set_clean_image_digest(clean_image);
  return example;
}

class TrainInputsTest : public testing::Test {
 protected:
  TrainInputsTest() {
    dataset_.add_candidates("a dog");
    dataset_.add_candidates("a cat");
    dataset_.add_candidates("a bird");
    std::vector<v1::Example> examples = {MakePair("i0", "i1"),
                                         MakePair("i2", "")};
    v1::Example clean;
    clean.set_image_digest("i3");
    clean.mutable_clean();
    examples.push_back(clean);
    v1::Example caption;
    caption.set_image_digest("i4");
    (*caption.mutable_attributes())["class"] = "ball";
    caption.mutable_caption()->set_caption("a red ball");
    (*caption.mutable_caption()->mutable_caption_attributes())["color"] = "red";
    examples.push_back(caption);
    examples_ = ExampleSet(examples);
  }

  absl::StatusOr<train::TrainingData> Data() {
    return ToTrainingData(spec_, dataset_, examples_, test::SmallClipConfig());
  }

  v1::TrainSpec spec_;
  v1::Dataset dataset_;
  ExampleSet examples_{{}};
};

TEST_F(TrainInputsTest, TheTrainedPartIsTakenOver) {
  using Kind = train::TrainedPart::Kind;
  EXPECT_EQ(ToTrainConfig(spec_).trained_part.kind, Kind::kAll);
  spec_.mutable_trained_part()->set_kind(v1::TrainedPart::KIND_IMAGE);
  EXPECT_EQ(ToTrainConfig(spec_).trained_part.kind, Kind::kImageTower);
  spec_.mutable_trained_part()->set_kind(v1::TrainedPart::KIND_TEXT);
  EXPECT_EQ(ToTrainConfig(spec_).trained_part.kind, Kind::kTextTower);
  spec_.mutable_trained_part()->set_kind(v1::TrainedPart::KIND_LAST);
  spec_.mutable_trained_part()->set_last_blocks(2);
  EXPECT_EQ(ToTrainConfig(spec_).trained_part.kind, Kind::kLastBlocks);
  EXPECT_EQ(ToTrainConfig(spec_).trained_part.last_blocks, 2);
}

TEST(UsesBf16Test, OnlyWhereItIsWantedAndThere) {
  EXPECT_FALSE(*UsesBf16(v1::PRECISION_UNSPECIFIED, true));
  EXPECT_FALSE(*UsesBf16(v1::PRECISION_FP32, true));
  EXPECT_TRUE(*UsesBf16(v1::PRECISION_AUTO, true));
  EXPECT_FALSE(*UsesBf16(v1::PRECISION_AUTO, false));
  EXPECT_TRUE(*UsesBf16(v1::PRECISION_BF16, true));
  const absl::Status status = UsesBf16(v1::PRECISION_BF16, false).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), "PRECISION_UNSUPPORTED");
}

TEST_F(TrainInputsTest, DpoTrainsOnPairsAndRegularisesOnCleanPictures) {
  spec_.mutable_dpo()->set_kl_weight(1);
  const auto data = Data();
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_THAT(data->pairs, SizeIs(2));
  EXPECT_EQ(data->pairs[1].image, 2);
  EXPECT_EQ(data->pairs[1].preferred, 0);
  EXPECT_EQ(data->pairs[1].rejected, 1);
  EXPECT_EQ(data->pairs[0].clean_image, 1);
  EXPECT_EQ(data->pairs[1].clean_image, -1);
  EXPECT_THAT(data->clean_images, ElementsAre(3));
  EXPECT_THAT(data->candidates, ElementsAre(0, 1, 2));
  EXPECT_THAT(data->captions, IsEmpty());
  EXPECT_THAT(ImagesOf(*data), ElementsAre(3, 0, 1, 2));
}

TEST_F(TrainInputsTest, WithoutKlNeitherCandidatesNorCleanPicturesAreUsed) {
  spec_.mutable_dpo()->set_kl_weight(0);
  const auto data = Data();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->clean_images, IsEmpty());
  EXPECT_EQ(data->pairs[0].clean_image, -1);
  EXPECT_THAT(data->candidates, IsEmpty());
  EXPECT_THAT(data->texts, SizeIs(2));
}

TEST_F(TrainInputsTest, InfoNceTrainsOnCaptionsWithTheirAttributes) {
  spec_.mutable_infonce()->set_kl_weight(0);
  const auto data = Data();
  ASSERT_TRUE(data.ok()) << data.status();
  ASSERT_THAT(data->captions, SizeIs(1));
  EXPECT_EQ(data->captions[0].image, 4);
  EXPECT_EQ(data->captions[0].attributes.at("class"), "ball");
  EXPECT_EQ(data->captions[0].caption_attributes.at("color"), "red");
  EXPECT_THAT(data->pairs, IsEmpty());
}

TEST_F(TrainInputsTest, TwinsOfPairsThatAreNotTrainedOnAreCleanPictures) {
  spec_.mutable_infonce()->set_kl_weight(1);
  const auto data = Data();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->clean_images, ElementsAre(1, 3));
}

TEST_F(TrainInputsTest, KtoUsesCleanPicturesWithoutAKlWeight) {
  spec_.mutable_kto()->set_kl_weight(0);
  const auto data = Data();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->clean_images, ElementsAre(3));
  EXPECT_EQ(data->pairs[0].clean_image, 1);
  EXPECT_THAT(data->candidates, SizeIs(3));
}

TEST_F(TrainInputsTest, CeIsOverTheCandidatesAndNeedsNoCleanPictures) {
  spec_.mutable_ce()->set_kl_weight(0);
  const auto data = Data();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->pairs, SizeIs(2));
  EXPECT_THAT(data->candidates, SizeIs(3));
  EXPECT_THAT(data->clean_images, IsEmpty());
}

// What the API says of an objective is what the loss is.
TEST(ObjectivesTest, EverySchemaHasItsObjective) {
  for (const ObjectiveSchema& schema : ObjectiveSchemas()) {
    SCOPED_TRACE(schema.name);
    ObjectiveValues options = schema.WithDefaults({});
    options.erase(kKlWeight);
    const auto made = objective::MakeObjective(schema.name, options);
    ASSERT_TRUE(made.ok()) << made.status();
    const auto* pair = std::get_if<objective::PairObjective>(&*made);
    EXPECT_EQ(pair != nullptr,
              schema.stream == ObjectiveSchema::Stream::kPairs);
    EXPECT_EQ(pair == nullptr, schema.whole_batch);
    EXPECT_EQ(pair != nullptr && pair->over_candidates, schema.over_candidates);
    EXPECT_EQ(pair != nullptr && pair->uses_clean_kl,
              schema.needs_clean_examples);
  }
}

TEST_F(TrainInputsTest, AnObjectiveOfANewerServerIsRefusedByTheTrainer) {
  EXPECT_EQ(ToTrainConfig(spec_).objective.name, "");
  EXPECT_EQ(ErrorReason(objective::MakeObjective("", {}).status()),
            "UNKNOWN_OBJECTIVE");
}

TEST_F(TrainInputsTest, TextBeyondTheContextIsRefusedUnlessItMayBeCut) {
  spec_.mutable_dpo()->set_kl_weight(1);
  dataset_.add_candidates(
      "one two three four five six seven eight nine ten "
      "eleven twelve thirteen");
  EXPECT_EQ(ErrorReason(Data().status()), "TEXT_TOO_LONG");
  spec_.set_truncate(true);
  EXPECT_TRUE(Data().ok());
}

TEST_F(TrainInputsTest, APartThatIsAHeadHasItsPenalty) {
  EXPECT_FALSE(train::TrainsHead(ToTrainConfig(spec_)));
  spec_.mutable_trained_part()->set_kind(v1::TrainedPart::KIND_HEAD);
  spec_.mutable_head()->set_penalty(0.5);
  EXPECT_TRUE(train::TrainsHead(ToTrainConfig(spec_)));
  EXPECT_EQ(ToTrainConfig(spec_).head.penalty, 0.5);
}

TEST_F(TrainInputsTest, SpecBecomesTheTrainersConfig) {
  spec_.mutable_dpo()->set_beta(2);
  spec_.mutable_dpo()->set_kl_weight(0.5);
  spec_.mutable_dpo()->set_label_smoothing(0.1);
  spec_.mutable_optimizer()->set_kind(v1::Optimizer::KIND_ADAMW);
  spec_.mutable_optimizer()->set_schedule(v1::Optimizer::SCHEDULE_CONSTANT);
  spec_.mutable_optimizer()->set_learning_rate(1e-4);
  spec_.mutable_optimizer()->set_weight_decay(0.2);
  spec_.mutable_optimizer()->set_warmup_ratio(0.1);
  spec_.set_steps(7);
  spec_.set_batch_size(5);
  EXPECT_EQ(ToTrainConfig(spec_).clean_batch_size, std::nullopt);
  spec_.set_clean_batch_size(6);
  spec_.set_micro_batch_size(2);
  spec_.set_seed(9);
  spec_.set_freeze_logit_scale(true);
  spec_.set_average(true);
  const train::TrainConfig config = ToTrainConfig(spec_);
  EXPECT_EQ(config.objective.name, "dpo");
  EXPECT_EQ(config.objective.options,
            (ObjectiveValues{{"beta", 2}, {"label_smoothing", 0.1}}));
  EXPECT_EQ(config.kl_weight, 0.5);
  EXPECT_EQ(config.optimizer.kind, train::OptimizerOptions::Kind::kAdamw);
  EXPECT_EQ(config.optimizer.weight_decay, 0.2);
  EXPECT_EQ(config.schedule.kind, train::Schedule::Kind::kConstant);
  EXPECT_EQ(config.schedule.learning_rate, 1e-4);
  EXPECT_EQ(config.schedule.warmup_ratio, 0.1);
  EXPECT_EQ(config.steps, 7);
  EXPECT_EQ(config.batch_size, 5);
  EXPECT_EQ(config.clean_batch_size, 6);
  EXPECT_EQ(config.micro_batch_size, 2);
  EXPECT_EQ(config.seed, 9u);
  EXPECT_TRUE(config.freeze_logit_scale);
  EXPECT_TRUE(config.average);
}

TEST(CheckpointScheduleTest, GivenIntervalIsKeptExactly) {
  const CheckpointSchedule schedule(20, 7, absl::Minutes(10), 0,
                                    absl::ZeroDuration());
  EXPECT_FALSE(schedule.Due(7, absl::Seconds(60), true));
  EXPECT_TRUE(schedule.Due(20, absl::Seconds(1), false));
}

TEST(CheckpointScheduleTest, EpochsAreStoredButNotTooOften) {
  CheckpointSchedule schedule(std::nullopt, 7, absl::Minutes(10), 0,
                              absl::ZeroDuration());
  EXPECT_FALSE(schedule.Due(7, absl::Seconds(14), true));
  EXPECT_TRUE(schedule.Due(14, absl::Seconds(15), true));
  EXPECT_FALSE(schedule.Due(14, absl::Seconds(15), false));
  EXPECT_FALSE(schedule.Due(15, absl::Seconds(15), true));
  schedule.Saved(14, absl::Seconds(15));
  EXPECT_FALSE(schedule.Due(21, absl::Seconds(29), true));
  EXPECT_TRUE(schedule.Due(28, absl::Seconds(30), true));
}

TEST(CheckpointScheduleTest, TenMinutesAreTheLimitInAnyCase) {
  const CheckpointSchedule schedule(1'000, 1'000, absl::Minutes(10), 0,
                                    absl::ZeroDuration());
  EXPECT_FALSE(schedule.Due(3, absl::Seconds(599), true));
  EXPECT_TRUE(schedule.Due(3, absl::Seconds(600), false));
}

TEST(CheckpointScheduleTest, StopStoresUnlessTheLastOneIsRecent) {
  CheckpointSchedule schedule(10, 10, absl::Minutes(10), 5,
                              absl::ZeroDuration());
  EXPECT_FALSE(schedule.DueAtStop(5, absl::Seconds(60)));
  EXPECT_TRUE(schedule.DueAtStop(6, absl::Seconds(1)));
  schedule.Saved(10, absl::Seconds(10));
  EXPECT_FALSE(schedule.DueAtStop(12, absl::Seconds(15)));
  EXPECT_TRUE(schedule.DueAtStop(13, absl::Seconds(16)));
}

TEST(CheckpointStateTest, StateBelongsToItsConfigAndReference) {
  const CheckpointIdentity identity = {.config_digest = "c",
                                       .reference_digest = "r"};
  const std::string state = WrapState("{\"step\":3}", identity);
  const auto unwrapped = UnwrapState(state, identity);
  ASSERT_TRUE(unwrapped.ok()) << unwrapped.status();
  EXPECT_EQ(*unwrapped, "{\"step\":3}");
  EXPECT_EQ(ErrorReason(UnwrapState(state, {"other", "r"}).status()),
            "CHECKPOINT_MISMATCH");
  EXPECT_EQ(ErrorReason(UnwrapState(state, {"c", "other"}).status()),
            "CHECKPOINT_MISMATCH");
  EXPECT_EQ(ErrorReason(UnwrapState("not json", identity).status()),
            "INVALID_CHECKPOINT");
}

}  // namespace
}  // namespace attune::task
