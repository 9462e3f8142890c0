#include "server/core/jobs/train_spec.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/objective_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/jobs_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::Contains;
using ::testing::Field;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TrainRequest Dpo() {
  TrainRequest request;
  request.dataset = "rta";
  request.base = "base@stable";
  request.output_model = "robust";
  request.objective = Objective("dpo");
  return request;
}

TrainRequest InfoNce() {
  TrainRequest request = Dpo();
  request.objective = Objective("infonce");
  return request;
}

TEST(TrainSpecTest, DpoTakesThePublishedDefaults) {
  const auto spec = ResolveTrainSpec(Dpo());
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(
      spec->objective,
      (storage::Objective{
          "dpo", {{"beta", 1}, {"kl_weight", 1}, {"label_smoothing", 0}}}));
  EXPECT_EQ(spec->optimizer.kind, storage::OptimizerKind::kAdamax);
  EXPECT_EQ(spec->optimizer.learning_rate, 2e-5);
  EXPECT_EQ(spec->optimizer.weight_decay, 0);
  EXPECT_EQ(spec->optimizer.warmup_ratio, 0);
  EXPECT_EQ(spec->optimizer.schedule, storage::Schedule::kCosine);
  EXPECT_EQ(spec->epochs, 3);
  EXPECT_EQ(spec->steps, std::nullopt);
  EXPECT_EQ(spec->batch_size, 512);
  EXPECT_EQ(spec->seed, 0);
  EXPECT_TRUE(spec->average);
  EXPECT_EQ(spec->base, "base@stable");
}

TEST(TrainSpecTest, InfoNceTakesItsOwnDefaults) {
  const auto spec = ResolveTrainSpec(InfoNce());
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(KlWeight(spec->objective), 0);
  EXPECT_EQ(spec->optimizer.kind, storage::OptimizerKind::kAdamW);
  EXPECT_EQ(spec->optimizer.learning_rate, 1e-3);
  EXPECT_EQ(spec->optimizer.weight_decay, 0.05);
  EXPECT_FALSE(spec->average);
}

TEST(TrainSpecTest, EveryPairObjectiveTakesItsPublishedDefaults) {
  const std::map<std::string, ObjectiveValues> published = {
      {"dpo", {{"beta", 1}, {"kl_weight", 1}, {"label_smoothing", 0}}},
      {"ipo", {{"beta", 0.01}, {"kl_weight", 0.01}}},
      {"kto",
       {{"beta", 1.5},
        {"kl_weight", 0.01},
        {"desirable_weight", 1},
        {"undesirable_weight", 1}}},
      {"ce", {{"kl_weight", 0}}}};
  for (const auto& [name, options] : published) {
    TrainRequest request = Dpo();
    request.objective = Objective(name);
    const auto spec = ResolveTrainSpec(request);
    ASSERT_THAT(spec, IsOk());
    EXPECT_EQ(spec->objective, (storage::Objective{name, options}));
    EXPECT_EQ(spec->optimizer.kind, storage::OptimizerKind::kAdamax);
    EXPECT_EQ(spec->optimizer.learning_rate, 2e-5);
    EXPECT_EQ(spec->average, name != "ce");
    EXPECT_EQ(spec->batch_size, 512);
    EXPECT_EQ(spec->epochs, 3);
  }
}

TEST(TrainSpecTest, AGivenOptionReplacesItsDefaultAlone) {
  TrainRequest request = Dpo();
  request.objective = Objective("kto", {{"undesirable_weight", 0.5}});
  const auto spec = ResolveTrainSpec(request);
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(spec->objective.options.at("undesirable_weight"), 0.5);
  EXPECT_EQ(spec->objective.options.at("desirable_weight"), 1);
}

TEST(TrainSpecTest, KtoTakesACleanBatchSizeWithoutAKlWeight) {
  TrainRequest request = Dpo();
  request.objective = Objective("kto", {{"kl_weight", 0}});
  request.clean_batch_size = 8;
  const auto spec = ResolveTrainSpec(request);
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(spec->clean_batch_size, 8);
}

TEST(TrainSpecTest, AHeadHasAPenalty) {
  TrainRequest request = Dpo();
  EXPECT_EQ(ResolveTrainSpec(request)->head_penalty, std::nullopt);
  request.trained_part.kind = storage::TrainedKind::kHead;
  EXPECT_EQ(ResolveTrainSpec(request)->head_penalty, 0.01);
  request.head = HeadRequest{.penalty = 0};
  EXPECT_EQ(ResolveTrainSpec(request)->head_penalty, 0);
}

TEST(TrainSpecTest, AHeadHasNoWeightDecay) {
  TrainRequest request = InfoNce();
  EXPECT_EQ(ResolveTrainSpec(request)->optimizer.weight_decay, 0.05);
  request.trained_part.kind = storage::TrainedKind::kHead;
  EXPECT_EQ(ResolveTrainSpec(request)->optimizer.weight_decay, 0);
  request.optimizer.weight_decay = 0;
  EXPECT_EQ(ResolveTrainSpec(request)->optimizer.weight_decay, 0);
}

TEST(TrainSpecTest, ZeroIsLegalWhereItIsAValue) {
  TrainRequest request = Dpo();
  request.objective = Objective(
      "dpo", {{"beta", 0.1}, {"kl_weight", 0}, {"label_smoothing", 0}});
  request.optimizer.weight_decay = 0;
  request.optimizer.warmup_ratio = 0;
  request.seed = 0;
  EXPECT_THAT(ResolveTrainSpec(request), IsOk());
}

TEST(TrainSpecTest, EpochsOrStepsOfZeroCountAsUnsetBesideTheOther) {
  TrainRequest request = Dpo();
  request.epochs = 0;
  request.steps = 10;
  auto spec = ResolveTrainSpec(request);
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(spec->epochs, std::nullopt);
  EXPECT_EQ(spec->steps, 10);
  request.epochs = 2;
  request.steps = 0;
  spec = ResolveTrainSpec(request);
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(spec->epochs, 2);
  EXPECT_EQ(spec->steps, std::nullopt);
}

TEST(TrainSpecTest, EveryWrongFieldIsNamed) {
  TrainRequest request = Dpo();
  request.dataset = "../x";
  request.optimizer.learning_rate = -1;
  request.batch_size = 0;
  const absl::Status status = ResolveTrainSpec(request).status();
  EXPECT_EQ(ErrorFields(status).size(), 3);
}

struct BadField {
  std::string name;
  std::string field;
  std::function<void(TrainRequest&)> change;
};

class BadFieldTest : public testing::TestWithParam<BadField> {};

TEST_P(BadFieldTest, IsAnInvalidArgumentNamingTheField) {
  TrainRequest request = Dpo();
  GetParam().change(request);
  const absl::Status status = ResolveTrainSpec(request).status();
  EXPECT_THAT(status,
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
  EXPECT_THAT(ErrorFields(status),
              Contains(Field(&FieldViolation::field, GetParam().field)));
}

// A case for each value of an option.
std::vector<BadField> BadFields() {
  std::vector<BadField> cases;
  const auto add = [&](std::string name, std::string field, auto change) {
    cases.push_back({std::move(name), std::move(field), change});
  };
  for (const auto& [suffix, value] : {std::pair{"Nan", kNan},
                                      {"Infinite", kInfinity},
                                      {"Zero", 0.0},
                                      {"Negative", -1.0}}) {
    add(absl::StrCat("LearningRate", suffix), "train.optimizer.learning_rate",
        [value = value](TrainRequest& r) {
          r.optimizer.learning_rate = value;
        });
    // Zero is legal unless it divides.
    for (const ObjectiveSchema& schema : ObjectiveSchemas()) {
      for (const OptionSchema& option : schema.options) {
        if (value == 0 && option.name != "beta") continue;
        add(absl::StrCat(schema.title, "_", option.name, "_", suffix),
            absl::StrCat("train.", schema.name, ".", option.name),
            [&schema, &option, value = value](TrainRequest& r) {
              r.objective = {&schema, {{option.name, value}}};
            });
      }
    }
    if (value == 0) continue;
    add(absl::StrCat("WarmupRatio", suffix), "train.optimizer.warmup_ratio",
        [value = value](TrainRequest& r) { r.optimizer.warmup_ratio = value; });
    add(absl::StrCat("WeightDecay", suffix), "train.optimizer.weight_decay",
        [value = value](TrainRequest& r) { r.optimizer.weight_decay = value; });
  }
  add("LabelSmoothingHalf", "train.dpo.label_smoothing", [](TrainRequest& r) {
    r.objective = Objective("dpo", {{"label_smoothing", 0.5}});
  });
  add("BatchZero", "train.batch_size",
      [](TrainRequest& r) { r.batch_size = 0; });
  add("BatchBillion", "train.batch_size",
      [](TrainRequest& r) { r.batch_size = 1'000'000'000; });
  add("CleanBatchZero", "train.clean_batch_size",
      [](TrainRequest& r) { r.clean_batch_size = 0; });
  add("CleanBatchTooMany", "train.clean_batch_size",
      [](TrainRequest& r) { r.clean_batch_size = 65'537; });
  add("CleanBatchWithoutKl", "train.clean_batch_size", [](TrainRequest& r) {
    r.objective = Objective("dpo", {{"kl_weight", 0}});
    r.clean_batch_size = 8;
  });
  add("HeadOfAnotherPart", "train.head",
      [](TrainRequest& r) { r.head = HeadRequest{}; });
  add("HeadPenaltyNegative", "train.head.penalty", [](TrainRequest& r) {
    r.trained_part.kind = storage::TrainedKind::kHead;
    r.head = HeadRequest{.penalty = -1};
  });
  add("WeightDecayOfAHead", "train.optimizer.weight_decay",
      [](TrainRequest& r) {
        r.trained_part.kind = storage::TrainedKind::kHead;
        r.optimizer.weight_decay = 0.05;
      });
  add("MicroBatchOfAHead", "train.micro_batch_size", [](TrainRequest& r) {
    r.trained_part.kind = storage::TrainedKind::kHead;
    r.micro_batch_size = 8;
  });
  add("MicroBatchNegative", "train.micro_batch_size",
      [](TrainRequest& r) { r.micro_batch_size = -1; });
  add("MicroBatchOfInfoNce", "train.micro_batch_size", [](TrainRequest& r) {
    r.objective = Objective("infonce");
    r.micro_batch_size = 8;
  });
  add("EpochsZero", "train.epochs", [](TrainRequest& r) { r.epochs = 0; });
  add("EpochsNegative", "train.epochs", [](TrainRequest& r) { r.epochs = -1; });
  add("EpochsTooMany", "train.epochs",
      [](TrainRequest& r) { r.epochs = 10'001; });
  add("StepsZero", "train.steps", [](TrainRequest& r) { r.steps = 0; });
  add("StepsTooMany", "train.steps",
      [](TrainRequest& r) { r.steps = 10'000'001; });
  add("BothZero", "train.epochs", [](TrainRequest& r) {
    r.epochs = 0;
    r.steps = 0;
  });
  add("BothSet", "train.steps", [](TrainRequest& r) {
    r.epochs = 1;
    r.steps = 1;
  });
  add("NoObjective", "train.objective",
      [](TrainRequest& r) { r.objective = {}; });
  add("NoBase", "train.base", [](TrainRequest& r) { r.base = ""; });
  add("PathAsDataset", "train.dataset",
      [](TrainRequest& r) { r.dataset = "../x"; });
  add("PathAsOutput", "train.output_model",
      [](TrainRequest& r) { r.output_model = "a/b"; });
  add("BadEvalDataset", "train.eval_dataset",
      [](TrainRequest& r) { r.eval_dataset = "%2e%2e"; });
  using storage::TrainedKind;
  add("LastWithoutBlocks", "train.trained_part.last_blocks",
      [](TrainRequest& r) {
        r.trained_part = {.kind = TrainedKind::kLast, .last_blocks = 0};
      });
  add("LastOfNegativeBlocks", "train.trained_part.last_blocks",
      [](TrainRequest& r) {
        r.trained_part = {.kind = TrainedKind::kLast, .last_blocks = -1};
      });
  add("BlocksOfATower", "train.trained_part.last_blocks", [](TrainRequest& r) {
    r.trained_part = {.kind = TrainedKind::kImage, .last_blocks = 2};
  });
  add("CheckpointEveryZero", "train.checkpoint_every",
      [](TrainRequest& r) { r.checkpoint_every = 0; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, BadFieldTest, testing::ValuesIn(BadFields()),
                         [](const auto& info) { return info.param.name; });

TEST(CheckTrainedPartTest, AsManyBlocksAsTheDeeperTowerHas) {
  ClipConfig base;
  base.vision_layers = 3;
  base.text_layers = 2;
  storage::TrainedPart part = {.kind = storage::TrainedKind::kLast,
                               .last_blocks = 3};
  EXPECT_THAT(CheckTrainedPart(part, base), IsOk());
  part.last_blocks = 4;
  const absl::Status status = CheckTrainedPart(part, base);
  EXPECT_THAT(status,
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
  EXPECT_THAT(ErrorFields(status),
              Contains(Field(&FieldViolation::field,
                             "train.trained_part.last_blocks")));
  EXPECT_THAT(CheckTrainedPart({}, base), IsOk());
}

TEST(EvaluateSpecTest, ATemplateNeedsExactlyOnePlaceholder) {
  EvaluateRequest request = {.dataset = "rta",
                             .model = "base",
                             .against = "",
                             .templates = {"a photo of a {}."},
                             .truncate = false};
  EXPECT_THAT(ResolveEvaluateSpec(request), IsOk());
  for (const char* bad : {"a photo", "{} and {}", "", "{}\n\x01"}) {
    request.templates = {"{}", bad};
    const absl::Status status = ResolveEvaluateSpec(request).status();
    EXPECT_THAT(status,
                HasError(absl::StatusCode::kInvalidArgument, "INVALID_FIELD"));
    EXPECT_THAT(ErrorFields(status), Contains(Field(&FieldViolation::field,
                                                    "evaluate.templates[1]")))
        << bad;
  }
}

}  // namespace
}  // namespace attune::core
