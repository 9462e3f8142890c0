#include "worker/train/trained_part.h"

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"
#include "worker/model/init.h"

namespace attune::train {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using Kind = TrainedPart::Kind;

// 3 blocks in the image tower, 1 in the text tower.
ClipConfig UnevenConfig() {
  ClipConfig clip = SmallConfig();
  clip.vision_layers = 3;
  clip.text_layers = 1;
  return clip;
}

std::set<std::string> Frozen(const TrainedPart& part) {
  const ClipConfig clip = UnevenConfig();
  return FrozenNames(part, clip, model::RandomTensors(clip, 1));
}

TEST(FrozenNames, AllFreezesNothing) { EXPECT_THAT(Frozen({}), IsEmpty()); }

TEST(FrozenNames, OneTowerFreezesTheOtherButNotTheScale) {
  const auto without_text = Frozen({.kind = Kind::kImageTower});
  EXPECT_THAT(without_text, Each(Not(StartsWith("visual."))));
  EXPECT_THAT(without_text,
              AllOf(Contains("token_embedding.weight"),
                    Contains("ln_final.bias"), Contains("text_projection"),
                    Contains("transformer.resblocks.0.ln_1.weight"),
                    Not(Contains("logit_scale"))));
  const auto without_image = Frozen({.kind = Kind::kTextTower});
  EXPECT_THAT(without_image, Each(StartsWith("visual.")));
  EXPECT_THAT(without_image,
              AllOf(Contains("visual.proj"), Contains("visual.conv1.weight")));
  const ClipConfig clip = UnevenConfig();
  EXPECT_EQ(without_text.size() + without_image.size() + 1,
            model::RandomTensors(clip, 1).size());
}

TEST(FrozenNames, LastBlocksFreezeWhatComesBeforeThem) {
  const auto frozen = Frozen({.kind = Kind::kLastBlocks, .last_blocks = 1});
  EXPECT_THAT(
      frozen,
      AllOf(Contains("visual.conv1.weight"), Contains("visual.class_embedding"),
            Contains("visual.positional_embedding"),
            Contains("visual.ln_pre.bias"),
            Contains("visual.transformer.resblocks.1.mlp.c_fc.weight"),
            Contains("token_embedding.weight"),
            Contains("positional_embedding")));
  for (const char* trained :
       {"visual.transformer.resblocks.2.mlp.c_fc.weight", "visual.ln_post.bias",
        "visual.proj", "transformer.resblocks.0.ln_1.bias", "ln_final.weight",
        "text_projection", "logit_scale"}) {
    EXPECT_THAT(frozen, Not(Contains(trained)));
  }
}

TEST(FrozenNames, ATowerWithFewerBlocksTrainsThemAll) {
  const auto frozen = Frozen({.kind = Kind::kLastBlocks, .last_blocks = 3});
  EXPECT_THAT(frozen, Each(Not(testing::HasSubstr("resblocks"))));
  EXPECT_THAT(frozen, AllOf(Contains("visual.conv1.weight"),
                            Contains("token_embedding.weight")));
}

TEST(FrozenBeginning, SaysHowManyBlocksStay) {
  const ClipConfig clip = UnevenConfig();
  const TrainedPart last = {.kind = Kind::kLastBlocks, .last_blocks = 2};
  EXPECT_EQ(FrozenImageBeginning(last, clip).blocks, 1);
  EXPECT_EQ(FrozenTextBeginning(last, clip).blocks, 0);
  EXPECT_TRUE(FrozenTextBeginning(last, clip).any);
  const TrainedPart image = {.kind = Kind::kImageTower};
  EXPECT_TRUE(FrozenTextBeginning(image, clip).whole);
  EXPECT_FALSE(FrozenImageBeginning(image, clip).whole);
  EXPECT_FALSE(FrozenImageBeginning(image, clip).any);
}

// Which tensors a run changes, and which it stores.
class PartialRun : public testing::TestWithParam<TrainedPart> {};

TEST_P(PartialRun, TrainsTheWholePartAndNothingElse) {
  TrainConfig config = DpoConfig();
  config.trained_part = GetParam();
  RandomRun run(config);
  run.Steps(3);
  const auto frozen = FrozenNames(config.trained_part, run.clip, run.base);
  const model::Tensors last = *run.trainer->LastWeights();
  const model::Tensors average = *run.trainer->AverageWeights();
  const TrainerState state = *run.trainer->SaveState();
  EXPECT_EQ(state.tensors.size(), 4 * (run.base.size() - frozen.size()));
  for (const auto& [name, tensor] : run.base) {
    const bool is_frozen = frozen.contains(name);
    EXPECT_EQ(at::equal(last.at(name), tensor), is_frozen) << name;
    EXPECT_EQ(at::equal(average.at(name), tensor), is_frozen) << name;
    EXPECT_EQ(last.at(name).data_ptr() == tensor.data_ptr(), is_frozen) << name;
    EXPECT_EQ(state.tensors.contains("weights/" + name), !is_frozen) << name;
  }
}

TEST_P(PartialRun, FollowsTheFullRunsFirstGradient) {
  TrainConfig config = DpoConfig();
  RandomRun full(config);
  config.trained_part = GetParam();
  RandomRun part(config);
  const StepMetrics whole = full.Steps(1)[0], own = part.Steps(1)[0];
  EXPECT_NEAR(own.loss, whole.loss, 1e-6);
  // After one step Adamax's first moment is the gradient, times 1 - beta_1. The
  // weights would not do: a step has the gradient's sign, also of rounding.
  const TrainerState whole_state = *full.trainer->SaveState();
  const TrainerState own_state = *part.trainer->SaveState();
  int64_t compared = 0;
  for (const auto& [name, tensor] : own_state.tensors) {
    if (!absl::StartsWith(name, "adamax_m/")) continue;
    const at::Tensor& expected = whole_state.tensors.at(name);
    EXPECT_LE((tensor - expected).norm().item<double>(),
              1e-4 * expected.norm().item<double>() + 1e-9)
        << name;
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Parts, PartialRun,
    testing::Values(TrainedPart{}, TrainedPart{.kind = Kind::kImageTower},
                    TrainedPart{.kind = Kind::kTextTower},
                    TrainedPart{.kind = Kind::kLastBlocks, .last_blocks = 1},
                    TrainedPart{.kind = Kind::kLastBlocks, .last_blocks = 2}));

}  // namespace
}  // namespace attune::train
