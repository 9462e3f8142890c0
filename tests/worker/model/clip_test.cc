#include "worker/model/clip.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "tests/worker/model/reference_clip.h"
#include "worker/model/init.h"

namespace attune::model {
namespace {

using reference::Values;
using reference::Weights;
using TokenRows = std::vector<std::vector<int32_t>>;

constexpr int32_t kStart = 28, kEnd = 29;

ClipConfig SmallConfig() {
  return {.image_size = 12,
          .patch_size = 4,
          .vision_width = 16,
          .vision_layers = 3,
          .vision_heads = 2,
          .text_width = 12,
          .text_layers = 2,
          .text_heads = 3,
          .context_length = 8,
          .vocabulary_size = 30,
          .embedding_size = 10};
}

// Random tensors with nothing left at 0 or 1, so that no bias or gain hides.
Tensors SmallTensors(const ClipConfig& config) {
  Tensors tensors = RandomTensors(config, 7);
  at::Generator generator = at::detail::createCPUGenerator(11);
  for (auto& [name, tensor] : tensors) {
    tensor.add_(at::normal(0, 0.1, tensor.sizes(), generator));
    tensor.requires_grad_(true);
  }
  return tensors;
}

// Shared beginnings, one text that is the beginning of another, one twice.
TokenRows SmallTexts() {
  return {{kStart, 3, 4, 5, kEnd},    {kStart, 3, 4, 6, 7, kEnd},
          {kStart, 3, 4, kEnd},       {kStart, 9, kEnd},
          {kStart, 3, 4, 5, kEnd},    {kStart, kEnd},
          {kStart, 3, 4, 6, 8, kEnd}, {kStart, 1, 2, 3, 4, 5, 6, kEnd}};
}

at::Tensor RandomPixels(const ClipConfig& config, int64_t batch) {
  at::Generator generator = at::detail::createCPUGenerator(5);
  return at::randint(0, 256, {batch, config.image_size, config.image_size, 3},
                     generator, at::TensorOptions(at::kByte));
}

// What the pixels of picture `b` are to the model, in double precision.
Values NormalisedPixels(const ClipConfig& config, const at::Tensor& pixels,
                        int64_t b) {
  const int side = config.image_size;
  Values values;
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < side * side; ++i) {
      const double byte = pixels[b].data_ptr<uint8_t>()[i * 3 + c];
      values.push_back((byte / 255 - config.pixel_mean[c]) /
                       config.pixel_deviation[c]);
    }
  }
  return values;
}

at::Tensor AsTensor(const std::vector<Values>& rows) {
  at::Tensor tensor = at::empty(
      {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())},
      at::kDouble);
  for (size_t r = 0; r < rows.size(); ++r) {
    std::copy(rows[r].begin(), rows[r].end(),
              tensor.data_ptr<double>() + r * rows[0].size());
  }
  return tensor;
}

at::Tensor ReferenceImages(const ClipConfig& config, const Weights& weights,
                           const at::Tensor& pixels) {
  std::vector<Values> rows;
  for (int64_t b = 0; b < pixels.size(0); ++b) {
    rows.push_back(reference::EncodeImage(config, weights,
                                          NormalisedPixels(config, pixels, b)));
  }
  return AsTensor(rows);
}

at::Tensor ReferenceTexts(const ClipConfig& config, const Weights& weights,
                          const TokenRows& texts) {
  std::vector<Values> rows;
  for (const auto& text : texts) {
    rows.push_back(reference::EncodeText(config, weights, text));
  }
  return AsTensor(rows);
}

double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.detach().to(at::kDouble) - b.detach().to(at::kDouble))
      .abs()
      .max()
      .item<double>();
}

class ClipTest : public testing::TestWithParam<Activation> {
 protected:
  ClipTest() { config_.activation = GetParam(); }

  TextBatch Pack(int64_t rows_per_group = kRowsPerGroup) {
    return *PackTexts(SmallTexts(), config_, rows_per_group);
  }
  TextBatch Separate() { return *SeparateTexts(SmallTexts(), config_); }

  // Gradients of Σ c · embeddings for fixed random c, by name.
  Tensors Gradients(const at::Tensor& embeddings) {
    for (auto& [name, tensor] : tensors_) tensor.mutable_grad() = at::Tensor();
    (embeddings * Coefficients(embeddings)).sum().backward();
    Tensors gradients;
    for (auto& [name, tensor] : tensors_) {
      if (tensor.grad().defined()) gradients[name] = tensor.grad();
    }
    return gradients;
  }

  static at::Tensor Coefficients(const at::Tensor& embeddings) {
    at::Generator generator = at::detail::createCPUGenerator(3);
    return at::normal(0, 1, embeddings.sizes(), generator);
  }

  static void ExpectSameGradients(const Tensors& plain, const Tensors& other) {
    ASSERT_EQ(plain.size(), other.size());
    for (const auto& [name, gradient] : plain) {
      EXPECT_LT(LargestDifference(gradient, other.at(name)),
                1e-5 * (1 + gradient.abs().max().item<double>()))
          << name;
    }
  }

  // Each tensor's gradient against central differences of the reference in
  // double precision, along one random direction a tensor.
  template <typename Encode>
  void ExpectTrueGradients(const Tensors& gradients, const Encode& encode) {
    const Weights weights = reference::ToDouble(tensors_);
    std::mt19937_64 random(1);
    for (const auto& [name, gradient] : gradients) {
      Weights changed = weights;
      Values direction(weights.at(name).size());
      double expected = 0;
      const at::Tensor flat = gradient.contiguous().view({-1});
      for (size_t i = 0; i < direction.size(); ++i) {
        direction[i] = std::uniform_real_distribution<double>(-1, 1)(random);
        expected += direction[i] * flat.data_ptr<float>()[i];
      }
      constexpr double kStep = 1e-4;
      double values[2];
      for (int side : {0, 1}) {
        for (size_t i = 0; i < direction.size(); ++i) {
          changed[name][i] =
              weights.at(name)[i] + (side == 0 ? kStep : -kStep) * direction[i];
        }
        const at::Tensor embeddings = encode(changed);
        values[side] = (embeddings * Coefficients(embeddings).to(at::kDouble))
                           .sum()
                           .template item<double>();
      }
      const double slope = (values[0] - values[1]) / (2 * kStep);
      EXPECT_NEAR(slope, expected,
                  1e-4 * (1 + flat.norm().template item<double>()))
          << name;
    }
  }

  ClipConfig config_ = SmallConfig();
  Tensors tensors_ = SmallTensors(config_);
};

INSTANTIATE_TEST_SUITE_P(Activations, ClipTest,
                         testing::Values(Activation::kQuickGelu,
                                         Activation::kGelu));

TEST_P(ClipTest, ImageEmbeddingsEqualTheReference) {
  const at::Tensor pixels = RandomPixels(config_, 5);
  EXPECT_LT(
      LargestDifference(
          EncodeImages(config_, tensors_, pixels),
          ReferenceImages(config_, reference::ToDouble(tensors_), pixels)),
      1e-5);
}

TEST_P(ClipTest, FloatPixelsGiveWhatBytesGive) {
  const at::Tensor bytes = RandomPixels(config_, 3);
  std::vector<Values> rows;
  for (int64_t b = 0; b < 3; ++b) {
    rows.push_back(NormalisedPixels(config_, bytes, b));
  }
  const at::Tensor floats =
      AsTensor(rows)
          .to(at::kFloat)
          .view({3, 3, config_.image_size, config_.image_size});
  EXPECT_LT(LargestDifference(EncodeImages(config_, tensors_, bytes),
                              EncodeImages(config_, tensors_, floats)),
            1e-5);
}

TEST_P(ClipTest, TextEmbeddingsEqualTheReference) {
  EXPECT_LT(
      LargestDifference(
          EncodeTexts(config_, tensors_, Pack()),
          ReferenceTexts(config_, reference::ToDouble(tensors_), SmallTexts())),
      1e-5);
}

TEST_P(ClipTest, GradientsOfImagesEqualDifferencesOfTheReference) {
  const at::Tensor pixels = RandomPixels(config_, 2);
  const Tensors gradients = Gradients(EncodeImages(config_, tensors_, pixels));
  EXPECT_EQ(gradients.size(), 8 + 12 * config_.vision_layers);
  ExpectTrueGradients(gradients, [&](const Weights& weights) {
    return ReferenceImages(config_, weights, pixels);
  });
}

TEST_P(ClipTest, GradientsOfTextsEqualDifferencesOfTheReference) {
  const Tensors gradients = Gradients(EncodeTexts(config_, tensors_, Pack()));
  EXPECT_EQ(gradients.size(), 5 + 12 * config_.text_layers);
  ExpectTrueGradients(gradients, [&](const Weights& weights) {
    return ReferenceTexts(config_, weights, SmallTexts());
  });
}

TEST_P(ClipTest, ReadingOutOneTokenChangesNothing) {
  const at::Tensor pixels = RandomPixels(config_, 4);
  const EncodeOptions plain = {.readout_only = false};
  const at::Tensor full = EncodeImages(config_, tensors_, pixels, plain);
  const at::Tensor short_cut = EncodeImages(config_, tensors_, pixels);
  EXPECT_LT(LargestDifference(full, short_cut), 1e-5);
  ExpectSameGradients(Gradients(full), Gradients(short_cut));
}

TEST_P(ClipTest, PackingTextsChangesNothing) {
  const at::Tensor plain =
      EncodeTexts(config_, tensors_, Separate(), {.readout_only = false});
  const Tensors gradients = Gradients(plain);
  for (int64_t rows_per_group : {1, 7, 256}) {
    const at::Tensor packed =
        EncodeTexts(config_, tensors_, Pack(rows_per_group));
    EXPECT_LT(LargestDifference(plain, packed), 1e-5);
    ExpectSameGradients(gradients, Gradients(packed));
  }
}

TEST_P(ClipTest, FusedActivationChangesNothing) {
  const at::Tensor pixels = RandomPixels(config_, 4);
  const EncodeOptions plain = {.fused_quick_gelu = false};
  const at::Tensor stock = EncodeImages(config_, tensors_, pixels, plain);
  const at::Tensor fused = EncodeImages(config_, tensors_, pixels);
  EXPECT_LT(LargestDifference(stock, fused), 1e-5);
  ExpectSameGradients(Gradients(stock), Gradients(fused));
}

TEST_P(ClipTest, PatchesAsProductEqualTheConvolution) {
  const at::Tensor pixels = RandomPixels(config_, 4);
  const EncodeOptions plain = {.patches_as_product = false};
  const at::Tensor convolved = EncodeImages(config_, tensors_, pixels, plain);
  const at::Tensor product = EncodeImages(config_, tensors_, pixels);
  EXPECT_LT(LargestDifference(convolved, product), 1e-5);
  ExpectSameGradients(Gradients(convolved), Gradients(product));
}

TEST_P(ClipTest, CuttingATowerChangesNothing) {
  const at::Tensor pixels = RandomPixels(config_, 4);
  const at::Tensor images = EncodeImages(config_, tensors_, pixels);
  const Tensors gradients = Gradients(images);
  for (int blocks = 0; blocks < config_.vision_layers; ++blocks) {
    const at::Tensor states = ImageStates(config_, tensors_, pixels, blocks);
    EXPECT_EQ(states.sizes(),
              (std::vector<int64_t>{4, 10, config_.vision_width}));
    const at::Tensor cut = ImagesFromStates(config_, tensors_, states, blocks);
    EXPECT_LT(LargestDifference(images, cut), 1e-6);
    ExpectSameGradients(gradients, Gradients(cut));
  }
  const TextBatch batch = Pack();
  const at::Tensor texts = EncodeTexts(config_, tensors_, batch);
  for (int blocks = 0; blocks < config_.text_layers; ++blocks) {
    EXPECT_LT(
        LargestDifference(
            texts, TextsFromStates(config_, tensors_, batch,
                                   TextStates(config_, tensors_, batch, blocks),
                                   blocks)),
        1e-6);
  }
}

TEST_P(ClipTest, FrozenTensorsGetNoGradient) {
  for (auto& [name, tensor] : tensors_) {
    tensor.requires_grad_(name == "visual.proj");
  }
  const Tensors gradients =
      Gradients(EncodeImages(config_, tensors_, RandomPixels(config_, 2)));
  EXPECT_EQ(gradients.size(), 1u);
  EXPECT_FALSE(EncodeTexts(config_, tensors_, Pack()).requires_grad());
}

TEST_P(ClipTest, NothingGivesNoRows) {
  const std::vector<int64_t> none = {0, config_.embedding_size};
  EXPECT_EQ(EncodeTexts(config_, tensors_, *PackTexts({}, config_)).sizes(),
            none);
  EXPECT_EQ(EncodeImages(config_, tensors_, RandomPixels(config_, 0)).sizes(),
            none);
}

TEST(NormalisedTest, RowsHaveLengthOne) {
  const at::Tensor x = at::tensor({3.f, 4.f, 0.f, 2.f}).view({2, 2});
  EXPECT_LT(LargestDifference(Normalised(x),
                              at::tensor({.6f, .8f, 0.f, 1.f}).view({2, 2})),
            1e-7);
}

}  // namespace
}  // namespace attune::model
