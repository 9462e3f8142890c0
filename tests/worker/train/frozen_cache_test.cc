// What is frozen is computed once.

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"

namespace attune::train {
namespace {

using Kind = TrainedPart::Kind;

constexpr int kSteps = 20;

// Images of the task: 24 of pairs and 10 clean ones. A step takes 8 of each.
constexpr int64_t kImages = 34;
constexpr int64_t kImagesAStep = 16;

TrainConfig PartConfig(const TrainedPart& part) {
  TrainConfig config = DpoConfig();
  config.trained_part = part;
  return config;
}

int64_t ImagesComputed(const TrainConfig& config) {
  RandomRun run(config);
  run.Steps(kSteps);
  return run.pixels.given();
}

TEST(FrozenCache, EveryImageGoesThroughTheFrozenBlocksOnce) {
  EXPECT_EQ(
      ImagesComputed(PartConfig({.kind = Kind::kLastBlocks, .last_blocks = 1})),
      kImages);
}

TEST(FrozenCache, EveryImageGoesThroughAFrozenTowerOnce) {
  EXPECT_EQ(ImagesComputed(PartConfig({.kind = Kind::kTextTower})), kImages);
}

TEST(FrozenCache, ATrainedTowerSeesEveryImageAtEveryStep) {
  // And the reference sees each once.
  EXPECT_EQ(ImagesComputed(PartConfig({})), kSteps * kImagesAStep + kImages);
}

// 16 tokens of a picture, that is (16 / 8)² + 1, times the width.
constexpr int64_t kStateBytes = 5 * 16 * 4;

TEST(FrozenCache, StatesBeyondTheBoundAreComputedAtEveryStep) {
  TrainConfig config =
      PartConfig({.kind = Kind::kLastBlocks, .last_blocks = 1});
  RandomRun whole(config);
  const auto curve = whole.Steps(kSteps);
  config.state_cache_bytes = 16 * kStateBytes;
  RandomRun bounded(config);
  const auto bounded_curve = bounded.Steps(kSteps);
  EXPECT_GT(bounded.pixels.given(), kImages);
  config.state_cache_bytes = 0;
  RandomRun none(config);
  const auto recomputed_curve = none.Steps(kSteps);
  EXPECT_EQ(none.pixels.given(), kSteps * kImagesAStep + kImages);
  EXPECT_LT(bounded.pixels.given(), none.pixels.given());
  for (int i = 0; i < kSteps; ++i) {
    EXPECT_NEAR(bounded_curve[i].loss, curve[i].loss, 2e-4);
    EXPECT_NEAR(recomputed_curve[i].loss, curve[i].loss, 2e-4);
  }
}

TEST(FrozenCache, ResumedRunHasTheSameBitsWithinAndBeyondTheBound) {
  for (const int64_t bytes : {int64_t{0}, 16 * kStateBytes, int64_t{1} << 30}) {
    TrainConfig config =
        PartConfig({.kind = Kind::kLastBlocks, .last_blocks = 1});
    config.state_cache_bytes = bytes;
    RandomRun whole(config);
    const auto curve = whole.Steps(kSteps);
    RandomRun first(config);
    first.Steps(7);
    RandomRun second(config);
    ASSERT_TRUE(second.trainer->Restore(*first.trainer->SaveState()).ok());
    EXPECT_EQ(second.Steps(kSteps - 7),
              std::vector<StepMetrics>(curve.begin() + 7, curve.end()));
  }
}

// Embeddings of the base that a run computed, as another is given them.
TEST(KnownEmbeddings, SpareASecondRunTheReferencesForward) {
  for (const TrainedPart part :
       {TrainedPart{}, TrainedPart{.kind = Kind::kTextTower}}) {
    const TrainConfig config = PartConfig(part);
    RandomRun first(config);
    const auto curve = first.Steps(kSteps);
    const EmbeddingRows computed = first.trainer->ComputedEmbeddings();
    EXPECT_EQ(computed.entries.size(), kImages);
    EXPECT_EQ(computed.rows.sizes(),
              (std::vector<int64_t>{kImages, first.clip.embedding_size}));

    RandomRun second(config);
    second.data.known_embeddings = computed;
    second.trainer = *Trainer::Create(config, second.clip, second.base,
                                      second.data, &second.pixels);
    // The same rows: the same bits.
    EXPECT_EQ(second.Steps(kSteps), curve);
    EXPECT_TRUE(second.trainer->ComputedEmbeddings().entries.empty());
    const bool trains_images = part.kind == Kind::kAll;
    EXPECT_EQ(second.pixels.given(), trains_images ? kSteps * kImagesAStep : 0);
  }
}

TEST(KnownEmbeddings, AreTakenAsTheyAreAndTheRestIsComputed) {
  const TrainConfig config = PartConfig({});
  RandomRun whole(config);
  const auto curve = whole.Steps(kSteps);
  EmbeddingRows some = whole.trainer->ComputedEmbeddings();
  some.entries.resize(10);
  some.rows = some.rows.narrow(0, 0, 10);
  RandomRun second(config);
  second.data.known_embeddings = some;
  second.trainer = *Trainer::Create(config, second.clip, second.base,
                                    second.data, &second.pixels);
  const auto other = second.Steps(kSteps);
  for (int i = 0; i < kSteps; ++i) {
    EXPECT_NEAR(other[i].loss, curve[i].loss, 2e-4);
  }
  EXPECT_EQ(second.trainer->ComputedEmbeddings().entries.size(), kImages - 10);
  EXPECT_EQ(second.pixels.given(), kSteps * kImagesAStep + kImages - 10);
}

}  // namespace
}  // namespace attune::train
