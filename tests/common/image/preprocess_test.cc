#include "common/image/preprocess.h"

#include <hwy/targets.h>

#include <cmath>
#include <random>

#include "common/error.h"
#include "common/image/resample.h"
#include "gtest/gtest.h"
#include "tests/common/image/golden_files.h"
#include "tests/common/image/reference_resize.h"
#include "tests/test_util/shared_data.h"

namespace attune::image {
namespace {

using test::ReferencePreprocess;
using test::SyntheticImage;

// OpenAI's.
constexpr float kMean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
constexpr float kDeviation[3] = {0.26862954f, 0.26130258f, 0.27577711f};

TEST(CropGeometry, LongSideIsTruncatedAndHalvesRoundToEven) {
  struct {
    int width, height, size, resized_width, resized_height, left, top;
  } cases[] = {
      {640, 480, 224, 298, 224, 37, 0},
      {480, 640, 224, 224, 298, 0, 37},
      {224, 224, 224, 224, 224, 0, 0},
      {512, 512, 224, 224, 224, 0, 0},
      {224, 225, 224, 224, 225, 0, 0},
      {224, 227, 224, 224, 227, 0, 2},
      {1000, 999, 336, 336, 336, 0, 0},
      {450, 655, 224, 224, 326, 0, 51},
      {1, 16384, 224, 224, 3670016, 0, 1834896},
  };
  for (const auto& c : cases) {
    const CropGeometry geometry =
        ComputeCropGeometry(c.width, c.height, c.size);
    SCOPED_TRACE(testing::Message() << c.width << " x " << c.height);
    EXPECT_EQ(geometry.resized_width, c.resized_width);
    EXPECT_EQ(geometry.resized_height, c.resized_height);
    EXPECT_EQ(geometry.left, c.left);
    EXPECT_EQ(geometry.top, c.top);
  }
}

TEST(Preprocess, BytesEqualPillowsOnSyntheticImages) {
  const auto golden = test::GoldenJson("resize.json");
  EXPECT_GE(golden.size(), 15u);
  for (const auto& row : golden) {
    const RgbImage image = SyntheticImage(row["width"], row["height"]);
    EXPECT_EQ(test::Digest(PreprocessToRgb8(image, row["size"])), row["sha256"])
        << row;
  }
}

// Every instruction set that this machine has, and none.
TEST(Preprocess, EveryInstructionSetEqualsThePlainTwin) {
  for (int64_t targets = hwy::SupportedTargets();;) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    const int64_t best = hwy::SupportedTargets() & -hwy::SupportedTargets();
    std::mt19937 random(3);
    for (int i = 0; i < 40; ++i) {
      const int width = 1 + static_cast<int>(random() % 120);
      const int height = 1 + static_cast<int>(random() % 120);
      const int size = 1 + static_cast<int>(random() % 60);
      RgbImage image{width, height, {}};
      for (int byte = 0; byte < 3 * width * height; ++byte) {
        // Extremes, so that sums leave the range of a byte.
        image.pixels.push_back(static_cast<uint8_t>(
            random() % 2 == 0 ? random() : (random() % 2) * 255));
      }
      ASSERT_EQ(PreprocessToRgb8(image, size), ReferencePreprocess(image, size))
          << width << " x " << height << " to " << size << " with "
          << hwy::TargetName(best);
    }
    targets &= ~best;
    if (targets == 0) break;
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(BicubicFilter, WeightsOfEachPositionSumToOne) {
  for (int out_size : {1, 7, 50, 224, 900}) {
    const AxisFilter filter = BicubicFilter(300, out_size, 0, out_size);
    for (int i = 0; i < out_size; ++i) {
      int64_t sum = 0;
      for (int k = 0; k < filter.count[i]; ++k) sum += filter.weights_of(i)[k];
      // Each weight is rounded.
      EXPECT_NEAR(sum, 1 << kWeightBits, filter.count[i] / 2 + 1);
      EXPECT_GE(filter.first[i], 0);
      EXPECT_LE(filter.first[i] + filter.count[i], 300);
    }
  }
}

TEST(NormalizeToChw, EqualsTheFormulaInDouble) {
  std::vector<uint8_t> rgb;
  for (int i = 0; i < 3 * 16 * 16; ++i) {
    rgb.push_back(static_cast<uint8_t>(i * 89));
  }
  std::vector<float> out(rgb.size());
  NormalizeToChw(rgb.data(), 16, kMean, kDeviation, out.data());
  for (int channel = 0; channel < 3; ++channel) {
    for (int i = 0; i < 256; ++i) {
      const double expected =
          (rgb[3 * i + channel] / 255.0 - kMean[channel]) / kDeviation[channel];
      ASSERT_NEAR(out[256 * channel + i], expected, 1e-6);
    }
  }
}

TEST(Preprocess, SharedGoldenPhotoIsWithinOneMillionth) {
  ATTUNE_SKIP_WITHOUT_SHARED_DATA();
  const std::string folder =
      attune::test::SharedDataDir() + "/golden/preprocess/";
  const std::vector<float> expected =
      test::ReadNpy(folder + "expected_preprocessed_image.npy");
  const auto rgb =
      DecodeAndPreprocess(test::ReadFile(folder + "franz-kafka.jpg"), 224);
  ASSERT_TRUE(rgb.ok()) << rgb.status();
  std::vector<float> out(rgb->size());
  NormalizeToChw(rgb->data(), 224, kMean, kDeviation, out.data());
  ASSERT_EQ(out.size(), expected.size());
  for (size_t i = 0; i < out.size(); ++i) {
    ASSERT_NEAR(out[i], expected[i], 1e-6) << i;
  }
}

TEST(DecodeAndPreprocess, DamagedImageReturnsInvalidImage) {
  const auto rgb = DecodeAndPreprocess("GIF89a", 224);
  EXPECT_EQ(rgb.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(rgb.status()), "INVALID_IMAGE");
}

}  // namespace
}  // namespace attune::image
