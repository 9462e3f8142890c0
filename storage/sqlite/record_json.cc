#include "storage/sqlite/record_json.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

using nlohmann::json;

// An unset optional is null.
template <typename T>
struct nlohmann::adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    out = value.has_value() ? json(*value) : json();
  }
  static void from_json(const json& in, std::optional<T>& value) {
    value = in.is_null() ? std::nullopt : std::optional<T>(in.get<T>());
  }
};

// The macro makes to_json and from_json, in which an absent field keeps its
// default.
namespace attune {
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(
    ClipConfig, image_size, patch_size, vision_width, vision_layers,
    vision_heads, text_width, text_layers, text_heads, context_length,
    vocabulary_size, embedding_size, activation, pixel_mean, pixel_deviation)
}  // namespace attune

namespace attune::storage {

// JSON has no NaN: a figure that is none is null. What a figure does not have
// is left out: most are of all examples.
void to_json(json& out, const Figure& figure) {
  out = json{
      {"name", figure.name}, {"value", figure.value}, {"count", figure.count}};
  if (figure.low.has_value()) out["low"] = *figure.low;
  if (figure.high.has_value()) out["high"] = *figure.high;
  for (const auto& [key, part] : {std::pair("class_label", figure.class_label),
                                  std::pair("attribute", figure.attribute),
                                  std::pair("group", figure.group),
                                  std::pair("candidate", figure.candidate)}) {
    if (!part.empty()) out[key] = part;
  }
}
void from_json(const json& in, Figure& figure) {
  const auto number = [&in](const char* key) -> std::optional<double> {
    if (!in.contains(key)) return std::nullopt;
    if (in.at(key).is_null()) return std::numeric_limits<double>::quiet_NaN();
    return in.at(key).get<double>();
  };
  figure.name = in.at("name").get<std::string>();
  figure.value =
      number("value").value_or(std::numeric_limits<double>::quiet_NaN());
  figure.count = in.at("count").get<int64_t>();
  figure.low = number("low");
  figure.high = number("high");
  figure.class_label = in.value("class_label", "");
  figure.attribute = in.value("attribute", "");
  figure.group = in.value("group", "");
  figure.candidate = in.value("candidate", "");
}

// {"dpo": {"beta": 1, …}}
void to_json(json& out, const Objective& objective) {
  out = json::object();
  out[objective.name] = objective.options;
}
void from_json(const json& in, Objective& objective) {
  for (const auto& [name, options] : in.items()) {
    objective = {name, options.get<ObjectiveValues>()};
  }
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FigureComparison, difference,
                                                only_model, only_against,
                                                p_value)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(GuardOptions, max_drop,
                                                eval_every, patience, best_by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(OptimizerOptions, kind,
                                                learning_rate, weight_decay,
                                                warmup_ratio, schedule)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TrainedPart, kind, last_blocks)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(InvalidExample, example, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Example, kind, image_digest,
                                                image_size_bytes, text,
                                                other_text, clean_image_digest,
                                                clean_image_size_bytes,
                                                attributes, caption_attributes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TensorEntry, name, data_type,
                                                shape, blob_digest, size_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(UploadPart, hash_state,
                                                examples, header_digest,
                                                tensors)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(
    TrainSpec, dataset, base, output_model, objective, optimizer, epochs, steps,
    batch_size, clean_batch_size, micro_batch_size, seed, freeze_logit_scale,
    average, checkpoint_every, eval_dataset, truncate, trained_part,
    head_penalty, guard, precision)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(EvaluateSpec, dataset, model,
                                                against, templates, truncate,
                                                group_by, seed, t)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ValidateSpec, dataset)

std::string ToJson(const JobSpec& spec) {
  json object;
  if (const TrainSpec* train = std::get_if<TrainSpec>(&spec)) {
    object["train"] = *train;
  } else if (const EvaluateSpec* evaluate = std::get_if<EvaluateSpec>(&spec)) {
    object["evaluate"] = *evaluate;
  } else {
    object["validate"] = std::get<ValidateSpec>(spec);
  }
  return object.dump();
}

template <>
JobSpec FromJson<JobSpec>(absl::string_view text) {
  const json object = json::parse(text.begin(), text.end());
  if (object.contains("train")) return object.at("train").get<TrainSpec>();
  if (object.contains("evaluate")) {
    return object.at("evaluate").get<EvaluateSpec>();
  }
  return object.at("validate").get<ValidateSpec>();
}

std::string ToJson(const ClipConfig& config) { return json(config).dump(); }
std::string ToJson(const std::vector<std::string>& texts) {
  return json(texts).dump();
}
std::string ToJson(const std::vector<int64_t>& numbers) {
  return json(numbers).dump();
}
std::string ToJson(const std::vector<Figure>& figures) {
  return json(figures).dump();
}
std::string ToJson(const std::vector<FigureComparison>& comparisons) {
  return json(comparisons).dump();
}
std::string ToJson(const std::vector<InvalidExample>& examples) {
  return json(examples).dump();
}
std::string ToJson(const UploadPart& part) { return json(part).dump(); }
std::string ToJson(const Attributes& attributes) {
  return attributes.empty() ? "" : json(attributes).dump();
}

template <typename T>
T FromJson(absl::string_view text) {
  return json::parse(text.begin(), text.end()).template get<T>();
}
template ClipConfig FromJson(absl::string_view);
template std::vector<std::string> FromJson(absl::string_view);
template std::vector<int64_t> FromJson(absl::string_view);
template std::vector<Figure> FromJson(absl::string_view);
template std::vector<FigureComparison> FromJson(absl::string_view);
template std::vector<InvalidExample> FromJson(absl::string_view);
template UploadPart FromJson(absl::string_view);

template <>
Attributes FromJson<Attributes>(absl::string_view text) {
  if (text.empty()) return {};
  return json::parse(text.begin(), text.end()).get<Attributes>();
}

}  // namespace attune::storage
