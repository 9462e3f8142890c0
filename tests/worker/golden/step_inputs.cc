#include "tests/worker/golden/step_inputs.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/objective/similarity.h"
#include "worker/train/trainer.h"

namespace attune::golden {
namespace {

using model::Tensors;

// Empty where there is no such tensor.
std::vector<int64_t> Numbers(const Tensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return {};
  const at::Tensor values = found->second.contiguous();
  return {values.data_ptr<int64_t>(),
          values.data_ptr<int64_t>() + values.numel()};
}

}  // namespace

std::vector<std::vector<int32_t>> TokenRows(const at::Tensor& tokens) {
  std::vector<std::vector<int32_t>> rows;
  for (int64_t n = 0; n < tokens.size(0); ++n) {
    const at::Tensor row = tokens[n].to(at::kInt).contiguous();
    rows.emplace_back(row.data_ptr<int32_t>(),
                      row.data_ptr<int32_t>() + row.numel());
  }
  return rows;
}

train::TrainingData ReadTrainingData(const Tensors& in) {
  train::TrainingData data;
  data.texts = TokenRows(in.at("tokens"));
  data.candidates = Numbers(in, "candidates");
  data.clean_images = Numbers(in, "clean");
  const std::vector<int64_t> pairs = Numbers(in, "pairs");
  for (size_t i = 0; i < pairs.size(); i += 3) {
    data.pairs.push_back({.image = pairs[i],
                          .preferred = pairs[i + 1],
                          .rejected = pairs[i + 2]});
  }
  const std::vector<int64_t> captions = Numbers(in, "captions");
  for (size_t i = 0; i < captions.size(); i += 3) {
    const objective::Attributes attributes = {
        {"class", absl::StrCat(captions[i + 2])}};
    data.captions.push_back({.image = captions[i],
                             .caption = captions[i + 1],
                             .attributes = attributes,
                             .caption_attributes = attributes});
  }
  return data;
}

absl::StatusOr<Tensors> Embeddings(const ClipConfig& config,
                                   const Tensors& tensors, const Tensors& in) {
  ATTUNE_ASSIGN_OR_RETURN(const model::TextBatch batch,
                          model::PackTexts(TokenRows(in.at("tokens")), config));
  const at::NoGradGuard no_grad;
  const at::Tensor f =
      model::Normalised(model::EncodeImages(config, tensors, in.at("pixels")));
  const at::Tensor g =
      model::Normalised(model::EncodeTexts(config, tensors, batch));
  const at::Tensor s = tensors.at("logit_scale").exp();
  return Tensors{
      {"images", f}, {"texts", g}, {"logits", objective::Logits(f, g, s)}};
}

train::TrainConfig StepConfig(const nlohmann::json& json) {
  train::TrainConfig config;
  config.objective.name = json.at("objective").get<std::string>();
  for (const auto& [name, value] : json.at("options").items()) {
    config.objective.options[name] = value.get<double>();
  }
  config.kl_weight = json.value("kl_weight", 0.0);
  config.micro_batch_size = json.value("micro_batch_size", int64_t{0});
  config.epochs = 1;
  return config;
}

absl::StatusOr<at::Tensor> TensorPixels::Pixels(
    absl::Span<const int64_t> images) {
  return pixels_.index_select(
      0, at::tensor(std::vector<int64_t>(images.begin(), images.end()),
                    at::kLong));
}

// The trainer starts at the reference, is put to the policy's weights as if
// from a checkpoint, and does one step of Adamax, whose first moment is then
// (1 − β1) times the gradient.
absl::StatusOr<Tensors> Gradients(const train::TrainConfig& config,
                                  const ClipConfig& clip,
                                  const Tensors& tensors,
                                  const Tensors& reference, const Tensors& in) {
  const std::string kMoment = "adamax_m/";
  TensorPixels pixels(in.at("pixels"));
  ATTUNE_ASSIGN_OR_RETURN(
      const std::unique_ptr<train::Trainer> trainer,
      train::Trainer::Create(config, clip, reference, ReadTrainingData(in),
                             &pixels));
  ATTUNE_ASSIGN_OR_RETURN(train::TrainerState state, trainer->SaveState());
  for (const auto& [name, tensor] : tensors) {
    state.tensors.at("weights/" + name) = tensor;
  }
  ATTUNE_RETURN_IF_ERROR(trainer->Restore(state));
  ATTUNE_ASSIGN_OR_RETURN(const train::StepMetrics metrics, trainer->Step());
  ATTUNE_ASSIGN_OR_RETURN(state, trainer->SaveState());
  Tensors gradients = {{"loss", at::scalar_tensor(metrics.loss, at::kFloat)}};
  for (const auto& [name, tensor] : state.tensors) {
    if (!absl::StartsWith(name, kMoment)) continue;
    gradients[name.substr(kMoment.size())] =
        tensor / (1 - config.optimizer.beta1);
  }
  return gradients;
}

}  // namespace attune::golden
