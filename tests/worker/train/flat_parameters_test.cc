#include "worker/train/flat_parameters.h"

#include <ATen/Functions.h>

#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/model/linear_head.h"

namespace attune::train {
namespace {

model::Tensors Base() {
  at::manual_seed(1);
  return {{"logit_scale", at::scalar_tensor(4.6f)},
          {"ln_final.weight", at::randn({5})},
          {"text_projection", at::randn({5, 3})},
          {"positional_embedding", at::randn({4, 5})},
          {"visual.conv1.weight", at::randn({6, 3, 2, 2})}};
}

TEST(FlatParameters, TrainableTensorsAreLeavesInTheFlatBuffer) {
  const model::Tensors base = Base();
  const FlatParameters parameters = *FlatParameters::Create(base, {});
  for (const auto& slot : parameters.slots()) {
    const at::Tensor& tensor = parameters.policy().at(slot.name);
    EXPECT_TRUE(tensor.is_leaf());
    EXPECT_TRUE(tensor.requires_grad());
    EXPECT_TRUE(at::equal(tensor, base.at(slot.name)));
    EXPECT_EQ(tensor.data_ptr(),
              parameters.flat().data_ptr<float>() + slot.offset);
    EXPECT_NE(tensor.data_ptr(), base.at(slot.name).data_ptr());
  }
}

TEST(FlatParameters, FrozenTensorsAreTheBasesOwn) {
  const model::Tensors base = Base();
  const FlatParameters parameters =
      *FlatParameters::Create(base, {"logit_scale", "text_projection"});
  EXPECT_EQ(parameters.slots().size(), 3u);
  for (const char* name : {"logit_scale", "text_projection"}) {
    const at::Tensor& tensor = parameters.policy().at(name);
    EXPECT_EQ(tensor.data_ptr(), base.at(name).data_ptr());
    EXPECT_FALSE(tensor.requires_grad());
  }
}

TEST(FlatParameters, FrozenTensorsAreCopiesWhenNotShared) {
  const model::Tensors base = Base();
  const FlatParameters parameters = *FlatParameters::Create(
      base, {"text_projection"}, /*share_frozen=*/false);
  const at::Tensor& tensor = parameters.policy().at("text_projection");
  EXPECT_NE(tensor.data_ptr(), base.at("text_projection").data_ptr());
  EXPECT_TRUE(at::equal(tensor, base.at("text_projection")));
  EXPECT_FALSE(tensor.requires_grad());
}

TEST(FlatParameters, MatricesDecayButEmbeddingsVectorsAndScalarsDoNot) {
  model::Tensors base = Base();
  // Nor does a linear head.
  base[model::kHeadWeight] = at::eye(3);
  const FlatParameters parameters = *FlatParameters::Create(base, {});
  std::vector<std::string> decaying;
  for (const auto& slot : parameters.slots()) {
    EXPECT_EQ(slot.decays, slot.offset < parameters.decay_size());
    EXPECT_EQ(slot.offset % 16, 0);
    if (slot.decays) decaying.push_back(slot.name);
  }
  EXPECT_THAT(decaying,
              testing::ElementsAre("text_projection", "visual.conv1.weight"));
}

TEST(FlatParameters, GradientsArriveAndAreCleared) {
  FlatParameters parameters = *FlatParameters::Create(Base(), {});
  parameters.policy().at("text_projection").square().sum().backward();
  const at::Tensor& tensor = parameters.policy().at("text_projection");
  EXPECT_TRUE(at::allclose(tensor.grad(), 2 * tensor));
  parameters.ClearGradients();
  EXPECT_FALSE(tensor.grad().defined());
}

TEST(FlatParameters, WithFlatTakesTheOtherBuffersTensors) {
  const model::Tensors base = Base();
  const FlatParameters parameters =
      *FlatParameters::Create(base, {"logit_scale"});
  const model::Tensors doubled = parameters.WithFlat(parameters.flat() * 2);
  EXPECT_TRUE(at::equal(doubled.at("visual.conv1.weight"),
                        base.at("visual.conv1.weight") * 2));
  EXPECT_EQ(doubled.at("logit_scale").data_ptr(),
            base.at("logit_scale").data_ptr());
}

TEST(FlatParameters, NothingToTrainIsRefused) {
  const auto parameters =
      FlatParameters::Create({{"logit_scale", at::scalar_tensor(1.f)}},
                             {"logit_scale"})
          .status();
  EXPECT_EQ(parameters.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(parameters), "NOTHING_TO_TRAIN");
}

TEST(FlatParameters, HalfPrecisionIsRefused) {
  const auto parameters =
      FlatParameters::Create({{"proj", at::zeros({2, 2}, at::kHalf)}}, {})
          .status();
  EXPECT_EQ(parameters.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(parameters), "UNSUPPORTED_DATA_TYPE");
}

}  // namespace
}  // namespace attune::train
