#include "tests/worker/content/small_clip.h"

#include "common/digest.h"
#include "common/image/encode.h"
#include "worker/model/safetensors_io.h"

namespace attune::test {

ClipConfig SmallClipConfig() {
  ClipConfig config;
  config.image_size = 16;
  config.patch_size = 8;
  config.vision_width = 16;
  config.vision_layers = 1;
  config.vision_heads = 2;
  config.text_width = 8;
  config.text_layers = 1;
  config.text_heads = 2;
  config.context_length = 12;
  config.vocabulary_size = 49408;
  config.embedding_size = 8;
  return config;
}

v1::ClipConfig ToProto(const ClipConfig& config) {
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
  for (float mean : config.pixel_mean) proto.add_pixel_mean(mean);
  for (float deviation : config.pixel_deviation) {
    proto.add_pixel_deviation(deviation);
  }
  return proto;
}

v1::VersionContent StoreVersion(FakeServer& server, const std::string& name,
                                const ClipConfig& config,
                                const model::Tensors& tensors) {
  v1::VersionContent content;
  content.set_version(name);
  content.set_digest(Sha256Hex(name));
  *content.mutable_config() = ToProto(config);
  for (const auto& [tensor_name, tensor] : tensors) {
    const std::string bytes = model::TensorBytes(tensor);
    v1::TensorEntry* entry = content.mutable_manifest()->add_tensors();
    entry->set_name(tensor_name);
    entry->set_data_type(static_cast<v1::DataType>(
        model::DescribeTensor(tensor_name, tensor).data_type));
    for (int64_t size : tensor.sizes()) entry->add_shape(size);
    entry->set_blob_digest(server.AddBlob(bytes));
    entry->set_size_bytes(static_cast<int64_t>(bytes.size()));
  }
  return content;
}

std::string Picture(int seed) {
  image::RgbImage image{.width = 20, .height = 18, .pixels = {}};
  for (int i = 0; i < image.width * image.height; ++i) {
    image.pixels.push_back(static_cast<uint8_t>(seed * 37));
    image.pixels.push_back(static_cast<uint8_t>(255 - seed * 23));
    image.pixels.push_back(static_cast<uint8_t>(i * (seed + 1)));
  }
  return *image::EncodePng(image);
}

}  // namespace attune::test
