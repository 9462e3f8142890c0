#include "server/services/model_codec.h"

#include "common/grpc/time_conversion.h"
#include "server/core/models/selector.h"

namespace attune::services {

// The enums of storage and common have the numbers of attune.v1.
static_assert(static_cast<int>(storage::DataType::kUint8) ==
              v1::DATA_TYPE_UINT8);
static_assert(static_cast<int>(storage::Activation::kGelu) ==
              v1::ACTIVATION_GELU);
static_assert(static_cast<int>(storage::VersionSource::kLastIterate) ==
              v1::Version::SOURCE_LAST_ITERATE);

v1::ClipConfig ToProto(const storage::ClipConfig& config) {
  v1::ClipConfig proto;
  proto.set_image_size(config.image_size);
  proto.set_patch_size(config.patch_size);
  proto.set_vision_width(config.vision_width);
  proto.set_vision_layers(config.vision_layers);
  proto.set_vision_heads(config.vision_heads);
  proto.set_text_width(config.text_width);
  proto.set_text_layers(config.text_layers);
  proto.set_text_heads(config.text_heads);
  proto.set_context_length(config.context_length);
  proto.set_vocabulary_size(config.vocabulary_size);
  proto.set_embedding_size(config.embedding_size);
  proto.set_activation(static_cast<v1::Activation>(config.activation));
  proto.mutable_pixel_mean()->Assign(config.pixel_mean.begin(),
                                     config.pixel_mean.end());
  proto.mutable_pixel_deviation()->Assign(config.pixel_deviation.begin(),
                                          config.pixel_deviation.end());
  return proto;
}

v1::TensorManifest ToProto(const storage::TensorManifest& manifest) {
  v1::TensorManifest proto;
  for (const storage::TensorEntry& tensor : manifest) {
    v1::TensorEntry* entry = proto.add_tensors();
    entry->set_name(tensor.name);
    entry->set_data_type(static_cast<v1::DataType>(tensor.data_type));
    entry->mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    entry->set_blob_digest(tensor.blob_digest);
    entry->set_size_bytes(tensor.size_bytes);
  }
  return proto;
}

v1::Model ToProto(const storage::Model& model) {
  v1::Model proto;
  proto.set_name(model.name);
  *proto.mutable_create_time() = ToProtoTimestamp(model.create_time);
  proto.set_version_count(model.version_count);
  for (const auto& [alias, number] : model.aliases) {
    (*proto.mutable_aliases())[alias] = number;
  }
  return proto;
}

v1::Version ToProto(const core::VersionView& view) {
  const storage::Version& version = view.version;
  v1::Version proto;
  proto.set_model(version.model);
  proto.set_number(version.number);
  proto.set_source(static_cast<v1::Version::Source>(version.source));
  *proto.mutable_create_time() = ToProtoTimestamp(version.create_time);
  *proto.mutable_config() = ToProto(version.config);
  proto.set_job_id(version.job_id);
  proto.set_base(version.base);
  proto.set_dataset(version.dataset);
  proto.set_dataset_digest(version.dataset_digest);
  proto.set_digest(version.digest);
  proto.set_tensor_count(version.tensor_count);
  proto.set_parameter_count(version.parameter_count);
  proto.set_size_bytes(version.size_bytes);
  proto.set_own_size_bytes(version.own_size_bytes);
  proto.mutable_aliases()->Assign(view.aliases.begin(), view.aliases.end());
  proto.set_guarded(version.broken_bounds.has_value());
  if (version.broken_bounds.has_value()) {
    proto.mutable_broken_bounds()->Assign(version.broken_bounds->begin(),
                                          version.broken_bounds->end());
  }
  return proto;
}

v1::VersionContent ToVersionContent(const storage::Version& version,
                                    const storage::TensorManifest& manifest) {
  v1::VersionContent proto;
  proto.set_version(core::VersionName(version));
  *proto.mutable_config() = ToProto(version.config);
  *proto.mutable_manifest() = ToProto(manifest);
  proto.set_digest(version.digest);
  return proto;
}

storage::TensorManifest FromProto(const v1::TensorManifest& manifest) {
  storage::TensorManifest result;
  for (const v1::TensorEntry& entry : manifest.tensors()) {
    result.push_back(
        {.name = entry.name(),
         .data_type = static_cast<storage::DataType>(entry.data_type()),
         .shape = {entry.shape().begin(), entry.shape().end()},
         .blob_digest = entry.blob_digest(),
         .size_bytes = entry.size_bytes()});
  }
  return result;
}

}  // namespace attune::services
