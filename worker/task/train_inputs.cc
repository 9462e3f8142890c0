#include "worker/task/train_inputs.h"

#include <google/protobuf/map.h>

#include <string>
#include <utility>

#include "common/error.h"
#include "common/grpc/objective_codec.h"
#include "common/status_macros.h"
#include "worker/task/text_rows.h"

namespace attune::task {
namespace {

objective::Attributes ToAttributes(
    const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

train::TrainedPart ToTrainedPart(const v1::TrainedPart& proto) {
  using Kind = train::TrainedPart::Kind;
  switch (proto.kind()) {
    case v1::TrainedPart::KIND_IMAGE:
      return {.kind = Kind::kImageTower};
    case v1::TrainedPart::KIND_TEXT:
      return {.kind = Kind::kTextTower};
    case v1::TrainedPart::KIND_LAST:
      return {.kind = Kind::kLastBlocks, .last_blocks = proto.last_blocks()};
    case v1::TrainedPart::KIND_HEAD:
      return {.kind = Kind::kHead};
    default:
      return {};
  }
}

}  // namespace

train::TrainConfig ToTrainConfig(const v1::TrainSpec& spec) {
  train::TrainConfig config;
  if (const ObjectiveSchema* schema = ObjectiveOf(spec)) {
    config.objective.name = schema->name;
    config.objective.options = schema->WithDefaults(ReadObjective(spec));
    config.kl_weight = config.objective.options[kKlWeight];
    config.objective.options.erase(kKlWeight);
  } else {
    // Of a newer server: the trainer refuses it.
    config.objective.name = "";
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
  if (spec.has_clean_batch_size()) {
    config.clean_batch_size = spec.clean_batch_size();
  }
  config.micro_batch_size = spec.micro_batch_size();
  config.seed = static_cast<uint64_t>(spec.seed());
  config.trained_part = ToTrainedPart(spec.trained_part());
  if (spec.has_head()) config.head.penalty = spec.head().penalty();
  config.freeze_logit_scale = spec.freeze_logit_scale();
  config.average = spec.average();
  return config;
}

absl::StatusOr<bool> UsesBf16(v1::Precision precision, bool device_has_bf16) {
  if (precision == v1::PRECISION_AUTO) return device_has_bf16;
  if (precision != v1::PRECISION_BF16) return false;
  if (device_has_bf16) return true;
  return Error(absl::StatusCode::kFailedPrecondition, "PRECISION_UNSUPPORTED",
               "the worker's device has no bf16 arithmetic, which needs a CPU "
               "with AVX512-BF16 or AMX or a GPU of compute capability 8.0; "
               "submit the job with precision fp32 or auto");
}

absl::StatusOr<train::TrainingData> ToTrainingData(const v1::TrainSpec& spec,
                                                   const v1::Dataset& dataset,
                                                   const ExampleSet& examples,
                                                   const ClipConfig& config) {
  train::TrainingData data;
  StringTable texts;
  const ObjectiveSchema* schema = ObjectiveOf(spec);
  if (schema == nullptr) return data;
  const bool pairs = schema->stream == ObjectiveSchema::Stream::kPairs;
  const bool uses_clean =
      ToTrainConfig(spec).kl_weight > 0 || schema->needs_clean_examples;
  if (uses_clean || schema->over_candidates) {
    for (const std::string& candidate : dataset.candidates()) {
      data.candidates.push_back(texts.Add(candidate));
    }
  }
  for (const v1::Example& example : examples.examples) {
    const int64_t image = examples.ImageOf(example);
    const int64_t twin = uses_clean ? examples.CleanImageOf(example) : -1;
    if (pairs && example.has_pair()) {
      data.pairs.push_back({.image = image,
                            .preferred = texts.Add(example.pair().preferred()),
                            .rejected = texts.Add(example.pair().rejected()),
                            .clean_image = twin});
    }
    if (!pairs && example.has_caption()) {
      data.captions.push_back(
          {.image = image,
           .caption = texts.Add(example.caption().caption()),
           .attributes = ToAttributes(example.attributes()),
           .caption_attributes =
               ToAttributes(example.caption().caption_attributes())});
    }
    if (!uses_clean) continue;
    if (example.has_clean()) data.clean_images.push_back(image);
    // Nothing brings the twins of pairs that are not trained on.
    if (!pairs && twin >= 0) data.clean_images.push_back(twin);
  }
  ATTUNE_ASSIGN_OR_RETURN(data.texts,
                          TokenRows(texts.values(), config, spec.truncate()));
  return data;
}

std::vector<int64_t> ImagesOf(const train::TrainingData& data) {
  std::vector<int64_t> images = data.clean_images;
  for (const train::PairExample& pair : data.pairs) {
    images.push_back(pair.image);
    if (pair.clean_image >= 0) images.push_back(pair.clean_image);
  }
  for (const train::CaptionExample& caption : data.captions) {
    images.push_back(caption.image);
  }
  return images;
}

}  // namespace attune::task
