#include "worker/train/clean_stream.h"

#include <algorithm>
#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/train/random_task.h"

namespace attune::train {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TrainConfig Config(int64_t batch_size, std::optional<int64_t> clean) {
  TrainConfig config;
  config.batch_size = batch_size;
  config.clean_batch_size = clean;
  config.seed = 3;
  return config;
}

TrainingData Data(const std::vector<int64_t>& twins,
                  const std::vector<int64_t>& clean) {
  TrainingData data;
  int64_t image = 0;
  for (int64_t twin : twins) {
    data.pairs.push_back(
        {.image = image++, .preferred = 0, .rejected = 1, .clean_image = twin});
  }
  data.clean_images = clean;
  return data;
}

TEST(CleanStream, CleanExamplesHaveTheirOwnBatchSize) {
  const TrainingData data = Data({-1, -1, -1}, {10, 11, 12, 13, 14});
  CleanStream stream(Config(3, 2), data);
  EXPECT_EQ(stream.batch_size(), 2);
  EXPECT_THAT(stream.Batch(0, {0, 1, 2}), SizeIs(2));
  EXPECT_EQ(CleanStream(Config(3, std::nullopt), data).batch_size(), 3);
  EXPECT_EQ(CleanStream(Config(3, 99), data).batch_size(), 5);
}

TEST(CleanStream, CleanExamplesAreSampledIndependentlyOfThePairs) {
  const TrainingData data = Data({-1, -1, -1, -1}, {10, 11, 12, 13, 14, 15});
  CleanStream stream(Config(2, 2), data);
  std::map<int64_t, int> seen;
  // Two epochs of the clean stream, three of the training stream.
  for (int64_t step = 0; step < 6; ++step) {
    const auto batch = stream.Batch(step, {step % 4});
    // The pairs of the step change nothing.
    EXPECT_EQ(batch, stream.Batch(step, {(step + 1) % 4, (step + 2) % 4}));
    for (int64_t entry : batch) ++seen[stream.images()[entry]];
  }
  ASSERT_THAT(seen, SizeIs(6));
  for (const auto& [image, count] : seen) EXPECT_EQ(count, 2) << image;
}

TEST(CleanStream, ATwinComesWithItsPairOnceForAllVariants) {
  // Pairs 0 and 1 are variants of picture 20.
  const TrainingData data = Data({20, 20, 21, -1}, {10, 11});
  CleanStream stream(Config(4, 1), data);
  const auto images = [&](std::vector<int64_t> pairs) {
    std::vector<int64_t> images;
    for (int64_t entry : stream.Batch(0, pairs)) {
      images.push_back(stream.images()[entry]);
    }
    // The last is of the stream.
    EXPECT_TRUE(images.back() == 10 || images.back() == 11);
    images.pop_back();
    return images;
  };
  EXPECT_THAT(images({1, 3, 0, 2}), ElementsAre(20, 21));
  EXPECT_THAT(images({2}), ElementsAre(21));
  EXPECT_THAT(images({3}), ElementsAre());
}

TEST(CleanStream, APictureThatIsTwinAndCleanExampleOccursOnce) {
  const TrainingData data = Data({10, 12}, {10, 11});
  CleanStream stream(Config(2, 2), data);
  EXPECT_THAT(stream.images(), ElementsAre(10, 11, 12));
  EXPECT_THAT(stream.Batch(0, {0, 1}), SizeIs(3));
}

TEST(CleanStream, PairsThatAllHaveTwinsNeedNoCleanExamples) {
  const TrainingData data = Data({20, 21, 20}, {});
  CleanStream stream(Config(2, std::nullopt), data);
  EXPECT_EQ(stream.batch_size(), 0);
  EXPECT_THAT(stream.Batch(0, {2}), ElementsAre(0));
  EXPECT_THAT(stream.Batch(5, {1, 0}), ElementsAre(1, 0));
}

TEST(CleanStream, TwinsAreTheStreamWhereAPairLacksOneAndNothingElseIsClean) {
  const TrainingData data = Data({20, -1, 21}, {});
  CleanStream stream(Config(2, std::nullopt), data);
  EXPECT_EQ(stream.batch_size(), 2);
  EXPECT_THAT(stream.Batch(0, {1}), SizeIs(2));
}

TEST(CleanStream, FirstUseNamesEveryEntryOnce) {
  const TrainingData data = Data({20, 20, 21, 10}, {10, 11, 12});
  const CleanStream stream(Config(2, 2), data);
  auto entries = stream.FirstUse({3, 1, 0, 2});
  std::sort(entries.begin(), entries.end());
  EXPECT_THAT(entries, ElementsAre(0, 1, 2, 3, 4));
}

TEST(HasCleanImages, ATwinIsOne) {
  EXPECT_FALSE(HasCleanImages(Data({-1}, {})));
  EXPECT_TRUE(HasCleanImages(Data({-1, 5}, {})));
  EXPECT_TRUE(HasCleanImages(Data({-1}, {5})));
}

// Counts what is computed.
class CountedPixels : public PixelSource {
 public:
  absl::StatusOr<at::Tensor> Pixels(absl::Span<const int64_t> images) override {
    counts.push_back(static_cast<int64_t>(images.size()));
    return pixels_.Pixels(images);
  }
  std::vector<int64_t> counts;

 private:
  RandomPixels pixels_{16};
};

TEST(CleanStream, TheForwardOfATwinIsSharedBetweenVariants) {
  TrainConfig config = DpoConfig();
  config.batch_size = 24;
  RandomRun run(config);
  run.data.clean_images.clear();
  // Three pictures with eight variants each.
  for (size_t i = 0; i < run.data.pairs.size(); ++i) {
    run.data.pairs[i].clean_image = 100 + static_cast<int64_t>(i % 3);
  }
  CountedPixels pixels;
  run.trainer = *Trainer::Create(config, run.clip, run.base, run.data, &pixels);
  const StepMetrics metrics = run.Steps(1)[0];
  EXPECT_TRUE(metrics.kl.has_value());
  // The policy's forward, after those of the reference.
  EXPECT_EQ(pixels.counts.back(), 24 + 3);
}

TEST(CleanStream, APairThatIsItsOwnTwinIsComputedOnce) {
  TrainConfig config = DpoConfig();
  config.batch_size = 24;
  RandomRun run(config);
  run.data.clean_images.clear();
  for (PairExample& pair : run.data.pairs) pair.clean_image = pair.image;
  CountedPixels pixels;
  run.trainer = *Trainer::Create(config, run.clip, run.base, run.data, &pixels);
  run.Steps(1);
  EXPECT_EQ(pixels.counts.back(), 24);
}

}  // namespace
}  // namespace attune::train
