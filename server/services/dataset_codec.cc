#include "server/services/dataset_codec.h"

#include <utility>

#include "common/grpc/time_conversion.h"

namespace attune::services {
namespace {

void CopyAttributes(const storage::Attributes& attributes,
                    google::protobuf::Map<std::string, std::string>* map) {
  for (const auto& [key, value] : attributes) (*map)[key] = value;
}

storage::Attributes FromMap(
    const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

}  // namespace

v1::Dataset ToProto(const core::DatasetView& view) {
  const storage::Dataset& dataset = view.dataset;
  v1::Dataset proto;
  proto.set_name(dataset.name);
  // The two enums have the same numbers.
  proto.set_state(static_cast<v1::DatasetState>(dataset.state));
  *proto.mutable_create_time() = ToProtoTimestamp(dataset.create_time);
  if (dataset.seal_time.has_value()) {
    *proto.mutable_seal_time() = ToProtoTimestamp(*dataset.seal_time);
  }
  proto.set_example_count(dataset.counts.total());
  proto.set_pair_count(dataset.counts.pair);
  proto.set_clean_count(dataset.counts.clean);
  proto.set_labelled_count(dataset.counts.labelled);
  proto.set_caption_count(dataset.counts.caption);
  proto.set_image_bytes(dataset.image_bytes);
  proto.mutable_candidates()->Add(dataset.candidates.begin(),
                                  dataset.candidates.end());
  proto.set_candidates_named(dataset.candidates_named);
  proto.set_digest(dataset.digest);
  for (const storage::InvalidExample& invalid : dataset.invalid_examples) {
    v1::InvalidExample* example = proto.add_invalid_examples();
    example->set_example(invalid.example);
    example->set_reason(invalid.reason);
  }
  proto.set_invalid_example_count(dataset.invalid_example_count);
  proto.set_status_message(view.status_message);
  return proto;
}

v1::Example ToProto(const storage::Example& example) {
  v1::Example proto;
  proto.set_id(example.id);
  proto.set_image_digest(example.image_digest);
  CopyAttributes(example.attributes, proto.mutable_attributes());
  switch (example.kind) {
    case storage::ExampleKind::kPair:
      proto.mutable_pair()->set_preferred(example.text);
      proto.mutable_pair()->set_rejected(example.other_text);
      proto.mutable_pair()->set_clean_image_digest(example.clean_image_digest);
      break;
    case storage::ExampleKind::kClean:
      proto.mutable_clean();
      break;
    case storage::ExampleKind::kLabelled:
      proto.mutable_labelled()->set_label(example.text);
      proto.mutable_labelled()->set_attack(example.other_text);
      break;
    case storage::ExampleKind::kCaption:
      proto.mutable_caption()->set_caption(example.text);
      CopyAttributes(example.caption_attributes,
                     proto.mutable_caption()->mutable_caption_attributes());
      break;
  }
  return proto;
}

core::ExampleInput TakeExample(v1::Example& example) {
  core::ExampleInput input;
  storage::Example& row = input.example;
  input.image = std::move(*example.mutable_image());
  input.image_digest = std::move(*example.mutable_image_digest());
  row.attributes = FromMap(example.attributes());
  switch (example.kind_case()) {
    case v1::Example::kPair: {
      v1::Example::Pair* pair = example.mutable_pair();
      row.kind = storage::ExampleKind::kPair;
      row.text = std::move(*pair->mutable_preferred());
      row.other_text = std::move(*pair->mutable_rejected());
      input.clean_image = std::move(*pair->mutable_clean_image());
      input.clean_image_digest = std::move(*pair->mutable_clean_image_digest());
      break;
    }
    case v1::Example::kClean:
      row.kind = storage::ExampleKind::kClean;
      break;
    case v1::Example::kLabelled:
      row.kind = storage::ExampleKind::kLabelled;
      row.text = std::move(*example.mutable_labelled()->mutable_label());
      row.other_text = std::move(*example.mutable_labelled()->mutable_attack());
      break;
    case v1::Example::kCaption:
      row.kind = storage::ExampleKind::kCaption;
      row.text = std::move(*example.mutable_caption()->mutable_caption());
      row.caption_attributes = FromMap(example.caption().caption_attributes());
      break;
    case v1::Example::KIND_NOT_SET:
      row.kind = static_cast<storage::ExampleKind>(0);
      break;
  }
  return input;
}

}  // namespace attune::services
