// Embeddings and gradients against transformers' CLIPModel in double
// precision: tests/golden/clip, made by tests/golden/generate.py.

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "tests/worker/golden/step_inputs.h"
#include "worker/model/safetensors_io.h"

namespace attune::golden {
namespace {

using model::Tensors;

// As generate_clip.py has them.
constexpr double kBeta = 0.7, kLabelSmoothing = 0.1, kKlWeight = 0.5;

class GoldenTest : public testing::TestWithParam<Activation> {
 protected:
  void SetUp() override {
    policy_ = LoadModel("weights");
    reference_ = LoadModel("reference");
    const std::string name =
        GetParam() == Activation::kGelu ? "gelu" : "quick_gelu";
    const absl::StatusOr<model::LoadedFile> file =
        model::LoadTensors(Path(name));
    ASSERT_TRUE(file.ok()) << file.status();
    golden_ = file->tensors;
  }

  static std::string Path(const std::string& name) {
    return absl::StrCat(ATTUNE_GOLDEN, "/clip/", name, ".safetensors");
  }

  static model::LoadedClip LoadModel(const std::string& name) {
    absl::StatusOr<model::LoadedClip> clip = model::LoadClip(Path(name));
    EXPECT_TRUE(clip.ok()) << clip.status();
    if (!clip.ok()) return {};
    clip->config.activation = GetParam();
    return *std::move(clip);
  }

  // Every tensor within 1e-4 of its norm.
  void ExpectGradients(const train::TrainConfig& config,
                       const std::string& prefix) {
    const absl::StatusOr<Tensors> gradients = Gradients(
        config, policy_.config, policy_.tensors, reference_.tensors, golden_);
    ASSERT_TRUE(gradients.ok()) << gradients.status();
    ASSERT_EQ(gradients->size(), policy_.tensors.size() + 1);
    for (const auto& [name, gradient] : *gradients) {
      const at::Tensor& expected = golden_.at(prefix + name);
      const double norm = expected.norm().item<double>();
      EXPECT_GT(norm, 0) << name;
      EXPECT_LE((gradient - expected).norm().item<double>(), 1e-4 * norm)
          << name;
    }
  }

  model::LoadedClip policy_;
  model::LoadedClip reference_;
  Tensors golden_;
};

TEST_P(GoldenTest, EmbeddingsAndLogits) {
  const absl::StatusOr<Tensors> out =
      Embeddings(policy_.config, policy_.tensors, golden_);
  ASSERT_TRUE(out.ok()) << out.status();
  for (const auto& [name, tensor] : *out) {
    const double scale =
        name == "logits"
            ? policy_.tensors.at("logit_scale").exp().item<double>()
            : 1;
    const at::Tensor& expected = golden_.at(name);
    ASSERT_EQ(tensor.sizes(), expected.sizes()) << name;
    EXPECT_LE((tensor - expected).abs().max().item<double>(), 1e-5 * scale)
        << name;
  }
}

TEST_P(GoldenTest, GradientsOfDpoWithKl) {
  nlohmann::json options = {
      {"objective", "dpo"},
      {"options", {{"beta", kBeta}, {"label_smoothing", kLabelSmoothing}}},
      {"kl_weight", kKlWeight}};
  ExpectGradients(StepConfig(options), "dpo/");
  // One image at a time is the same.
  options["micro_batch_size"] = 1;
  ExpectGradients(StepConfig(options), "dpo/");
}

TEST_P(GoldenTest, GradientsOfInfoNce) {
  ExpectGradients(StepConfig({{"objective", "infonce"},
                              {"options", nlohmann::json::object()}}),
                  "infonce/");
}

INSTANTIATE_TEST_SUITE_P(Activations, GoldenTest,
                         testing::Values(Activation::kQuickGelu,
                                         Activation::kGelu),
                         [](const auto& info) {
                           return info.param == Activation::kGelu ? "Gelu"
                                                                  : "QuickGelu";
                         });

}  // namespace
}  // namespace attune::golden
