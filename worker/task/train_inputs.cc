#include "worker/task/train_inputs.h"

#include <google/protobuf/map.h>

#include <string>
#include <utility>

#include "common/status_macros.h"
#include "worker/task/text_rows.h"

namespace attune::task {
namespace {

objective::Attributes ToAttributes(
    const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

}  // namespace

train::TrainConfig ToTrainConfig(const v1::TrainSpec& spec) {
  train::TrainConfig config;
  if (spec.has_infonce()) {
    config.objective =
        train::InfoNceObjective{.kl_weight = spec.infonce().kl_weight()};
  } else {
    config.objective = train::DpoObjective{
        .options = {.beta = spec.dpo().beta(),
                    .label_smoothing = spec.dpo().label_smoothing()},
        .kl_weight = spec.dpo().kl_weight()};
  }
  const v1::Optimizer& optimizer = spec.optimizer();
  config.optimizer =
      optimizer.kind() == v1::Optimizer::KIND_ADAMW
          ? train::OptimizerOptions::Adamw(optimizer.weight_decay())
          : train::OptimizerOptions::Adamax(optimizer.weight_decay());
  config.schedule.kind =
      optimizer.schedule() == v1::Optimizer::SCHEDULE_CONSTANT
          ? train::Schedule::Kind::kConstant
          : train::Schedule::Kind::kCosine;
  config.schedule.learning_rate = optimizer.learning_rate();
  config.schedule.warmup_ratio = optimizer.warmup_ratio();
  config.epochs = spec.epochs();
  if (spec.has_steps()) config.steps = spec.steps();
  config.batch_size = spec.batch_size();
  config.micro_batch_size = spec.micro_batch_size();
  config.seed = static_cast<uint64_t>(spec.seed());
  config.freeze_logit_scale = spec.freeze_logit_scale();
  config.average = spec.average();
  return config;
}

absl::StatusOr<train::TrainingData> ToTrainingData(const v1::TrainSpec& spec,
                                                   const v1::Dataset& dataset,
                                                   const ExampleSet& examples,
                                                   const ClipConfig& config) {
  train::TrainingData data;
  StringTable texts;
  const bool regularised = train::KlWeight(ToTrainConfig(spec)) > 0;
  if (regularised) {
    for (const std::string& candidate : dataset.candidates()) {
      data.candidates.push_back(texts.Add(candidate));
    }
  }
  for (const v1::Example& example : examples.examples) {
    const int64_t image = examples.ImageOf(example);
    if (spec.has_dpo() && example.has_pair()) {
      data.pairs.push_back({.image = image,
                            .preferred = texts.Add(example.pair().preferred()),
                            .rejected = texts.Add(example.pair().rejected())});
    }
    if (spec.has_infonce() && example.has_caption()) {
      data.captions.push_back(
          {.image = image,
           .caption = texts.Add(example.caption().caption()),
           .attributes = ToAttributes(example.attributes()),
           .caption_attributes =
               ToAttributes(example.caption().caption_attributes())});
    }
    if (!regularised) continue;
    const int64_t clean =
        example.has_clean() ? image : examples.CleanImageOf(example);
    if (clean >= 0) data.clean_images.push_back(clean);
  }
  ATTUNE_ASSIGN_OR_RETURN(data.texts,
                          TokenRows(texts.values(), config, spec.truncate()));
  return data;
}

std::vector<int64_t> ImagesOf(const train::TrainingData& data) {
  std::vector<int64_t> images = data.clean_images;
  for (const train::PairExample& pair : data.pairs)
    images.push_back(pair.image);
  for (const train::CaptionExample& caption : data.captions) {
    images.push_back(caption.image);
  }
  return images;
}

}  // namespace attune::task
