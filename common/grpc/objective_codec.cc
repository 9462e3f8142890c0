#include "common/grpc/objective_codec.h"

#include <string>

#include "attune/v1/objective_schema.pb.h"

namespace attune {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;

const OneofDescriptor& Oneof() {
  return *v1::TrainSpec::descriptor()->FindOneofByName("objective");
}

OptionSchema ReadOption(const FieldDescriptor& field) {
  const v1::OptionSchema& proto =
      field.options().GetExtension(v1::option_schema);
  OptionSchema option;
  option.name = field.name();
  option.default_value = proto.default_value();
  if (proto.has_above()) option.above = proto.above();
  if (proto.has_at_least()) option.at_least = proto.at_least();
  if (proto.has_below()) option.below = proto.below();
  option.help = proto.help();
  return option;
}

ObjectiveSchema ReadSchema(const FieldDescriptor& field) {
  const Descriptor& message = *field.message_type();
  const v1::ObjectiveSchema& proto =
      message.options().GetExtension(v1::objective_schema);
  ObjectiveSchema schema;
  schema.name = field.name();
  schema.title = proto.title();
  schema.stream = proto.stream() == v1::ObjectiveSchema::STREAM_CAPTIONS
                      ? ObjectiveSchema::Stream::kCaptions
                      : ObjectiveSchema::Stream::kPairs;
  schema.average = proto.average();
  schema.over_candidates = proto.over_candidates();
  schema.needs_clean_examples = proto.needs_clean_examples();
  schema.whole_batch = proto.whole_batch();
  schema.adamw = proto.optimizer() == v1::ObjectiveSchema::OPTIMIZER_ADAMW;
  schema.learning_rate = proto.learning_rate();
  schema.weight_decay = proto.weight_decay();
  for (int i = 0; i < message.field_count(); ++i) {
    schema.options.push_back(ReadOption(*message.field(i)));
  }
  return schema;
}

}  // namespace

const std::vector<ObjectiveSchema>& ObjectiveSchemas() {
  static const auto* schemas = [] {
    auto* all = new std::vector<ObjectiveSchema>;
    for (int i = 0; i < Oneof().field_count(); ++i) {
      all->push_back(ReadSchema(*Oneof().field(i)));
    }
    return all;
  }();
  return *schemas;
}

const ObjectiveSchema* FindObjective(absl::string_view name) {
  for (const ObjectiveSchema& schema : ObjectiveSchemas()) {
    if (schema.name == name) return &schema;
  }
  return nullptr;
}

const ObjectiveSchema* ObjectiveOf(const v1::TrainSpec& spec) {
  const FieldDescriptor* field =
      spec.GetReflection()->GetOneofFieldDescriptor(spec, &Oneof());
  return field == nullptr ? nullptr : FindObjective(field->name());
}

ObjectiveValues ReadObjective(const v1::TrainSpec& spec) {
  ObjectiveValues values;
  const FieldDescriptor* field =
      spec.GetReflection()->GetOneofFieldDescriptor(spec, &Oneof());
  if (field == nullptr) return values;
  const Message& objective = spec.GetReflection()->GetMessage(spec, field);
  const Descriptor& message = *objective.GetDescriptor();
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* option = message.field(i);
    if (!objective.GetReflection()->HasField(objective, option)) continue;
    values[option->name()] =
        objective.GetReflection()->GetDouble(objective, option);
  }
  return values;
}

void WriteObjective(absl::string_view name, const ObjectiveValues& values,
                    v1::TrainSpec* spec) {
  const FieldDescriptor* field =
      spec->GetDescriptor()->FindFieldByName(std::string(name));
  if (field == nullptr || field->containing_oneof() != &Oneof()) return;
  Message* objective = spec->GetReflection()->MutableMessage(spec, field);
  for (const auto& [option_name, value] : values) {
    const FieldDescriptor* option =
        objective->GetDescriptor()->FindFieldByName(option_name);
    if (option == nullptr) continue;
    objective->GetReflection()->SetDouble(objective, option, value);
  }
}

}  // namespace attune
