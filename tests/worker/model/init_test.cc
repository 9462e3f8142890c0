#include "worker/model/init.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include <cmath>

#include "common/error.h"

namespace attune::model {
namespace {

TEST(NamedConfigTest, EveryNameIsKnown) {
  EXPECT_THAT(ArchitectureNames(),
              testing::ElementsAre("tiny", "ViT-B-32", "ViT-B-16", "ViT-L-14"));
  for (const std::string& name : ArchitectureNames()) {
    const absl::StatusOr<ClipConfig> config = NamedConfig(name);
    ASSERT_TRUE(config.ok()) << config.status();
    // Its own tensors and metadata describe it.
    EXPECT_EQ(*ReadClipConfig(ExpectedTensors(*config), ClipMetadata(*config)),
              *config);
  }
  const absl::Status unknown = NamedConfig("RN50").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(unknown), "NOT_FOUND");
}

TEST(NamedConfigTest, ParameterCountsAreThePublishedOnes) {
  const std::pair<std::string, int64_t> kCounts[] = {{"ViT-B-32", 151'277'313},
                                                     {"ViT-B-16", 149'620'737},
                                                     {"ViT-L-14", 427'616'513}};
  for (const auto& [name, expected] : kCounts) {
    int64_t count = 0;
    for (const auto& [tensor, shape] : ExpectedTensors(*NamedConfig(name))) {
      int64_t product = 1;
      for (int64_t size : shape) product *= size;
      count += product;
    }
    EXPECT_EQ(count, expected) << name;
  }
}

class RandomTensorsTest : public testing::Test {
 protected:
  // Deviation and largest magnitude of a tensor.
  void ExpectNormal(const std::string& name, double deviation) {
    const at::Tensor& tensor = tensors_.at(name);
    // Four standard errors of the estimate.
    EXPECT_NEAR(tensor.std().item<double>() / deviation, 1,
                4 / std::sqrt(2.0 * tensor.numel()))
        << name;
    EXPECT_NEAR(tensor.mean().item<double>() / deviation, 0,
                4 / std::sqrt(1.0 * tensor.numel()))
        << name;
    // A uniform distribution would end at 1.73 deviations.
    EXPECT_GT(tensor.abs().max().item<double>(), 1.9 * deviation) << name;
  }

  void ExpectUniform(const std::string& name, double bound) {
    const at::Tensor& tensor = tensors_.at(name);
    const double largest = tensor.abs().max().item<double>();
    EXPECT_LE(largest, bound * (1 + 1e-6)) << name;
    EXPECT_GT(largest, bound * (1 - 10.0 / tensor.numel())) << name;
    EXPECT_NEAR(tensor.std().item<double>() / (bound / std::sqrt(3.0)), 1,
                4 / std::sqrt(2.0 * tensor.numel()))
        << name;
  }

  void ExpectConstant(const std::string& name, double value) {
    const at::Tensor& tensor = tensors_.at(name);
    EXPECT_EQ(tensor.min().item<float>(), static_cast<float>(value)) << name;
    EXPECT_EQ(tensor.max().item<float>(), static_cast<float>(value)) << name;
  }

  const ClipConfig config_ = *NamedConfig("tiny");
  const Tensors tensors_ = RandomTensors(config_, 0);
};

TEST_F(RandomTensorsTest, HasExactlyTheTensorsOfTheConfig) {
  TensorShapes shapes;
  for (const auto& [name, tensor] : tensors_) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat);
    shapes[name] = tensor.sizes().vec();
  }
  EXPECT_EQ(shapes, ExpectedTensors(config_));
}

// The formulas of initialize_parameters in OpenAI's clip/model.py, with text
// width 64 and 2 layers.
TEST_F(RandomTensorsTest, TextTowerIsDistributedAsOpenAis) {
  ExpectNormal("token_embedding.weight", 0.02);
  ExpectNormal("positional_embedding", 0.01);
  ExpectNormal("text_projection", 1 / 8.0);
  const std::string block = "transformer.resblocks.1.";
  ExpectNormal(block + "attn.in_proj_weight", 1 / 8.0);
  ExpectNormal(block + "attn.out_proj.weight", 1 / 16.0);
  ExpectNormal(block + "mlp.c_proj.weight", 1 / 16.0);
  ExpectNormal(block + "mlp.c_fc.weight", 1 / std::sqrt(128.0));
  ExpectUniform(block + "mlp.c_fc.bias", 1 / 8.0);
  ExpectUniform(block + "mlp.c_proj.bias", 1 / 16.0);
  ExpectConstant(block + "attn.in_proj_bias", 0);
  ExpectConstant(block + "attn.out_proj.bias", 0);
  ExpectConstant(block + "ln_1.weight", 1);
  ExpectConstant("ln_final.bias", 0);
  ExpectConstant("logit_scale", std::log(1 / 0.07));
}

// VisionTransformer's own scale, and PyTorch's defaults for the layers, with
// width 128.
TEST_F(RandomTensorsTest, ImageTowerIsDistributedAsOpenAis) {
  ExpectNormal("visual.class_embedding", 1 / std::sqrt(128.0));
  ExpectNormal("visual.positional_embedding", 1 / std::sqrt(128.0));
  ExpectNormal("visual.proj", 1 / std::sqrt(128.0));
  ExpectUniform("visual.conv1.weight", 1 / std::sqrt(3.0 * 12 * 12));
  const std::string block = "visual.transformer.resblocks.0.";
  ExpectUniform(block + "attn.in_proj_weight", std::sqrt(6.0 / (4 * 128)));
  ExpectUniform(block + "attn.out_proj.weight", 1 / std::sqrt(128.0));
  ExpectUniform(block + "mlp.c_fc.weight", 1 / std::sqrt(128.0));
  ExpectUniform(block + "mlp.c_fc.bias", 1 / std::sqrt(128.0));
  ExpectUniform(block + "mlp.c_proj.weight", 1 / std::sqrt(512.0));
  ExpectUniform(block + "mlp.c_proj.bias", 1 / std::sqrt(512.0));
  ExpectConstant(block + "attn.in_proj_bias", 0);
  ExpectConstant("visual.ln_pre.weight", 1);
  ExpectConstant("visual.ln_post.bias", 0);
}

TEST_F(RandomTensorsTest, TheSeedDecidesEverything) {
  const Tensors same = RandomTensors(config_, 0);
  const Tensors other = RandomTensors(config_, 1);
  for (const auto& [name, tensor] : tensors_) {
    EXPECT_TRUE(tensor.equal(same.at(name))) << name;
  }
  EXPECT_FALSE(tensors_.at("visual.proj").equal(other.at("visual.proj")));
}

}  // namespace
}  // namespace attune::model
