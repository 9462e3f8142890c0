#include "worker/content/version_loader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/model/safetensors_io.h"
#include "worker/model/torch_status.h"
#include "worker/transport/blob_transfer.h"

namespace attune::content {
namespace {

absl::Status InvalidClip(absl::string_view version, absl::string_view what) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_CLIP",
               absl::StrCat("version ", version, " ", what));
}

absl::Status CheckTensors(const std::string& version, const ClipConfig& config,
                          const v1::TensorManifest& manifest) {
  if (config.image_size < 1 || config.patch_size < 1 ||
      config.vision_heads < 1 || config.text_heads < 1 ||
      config.context_length < 2) {
    return InvalidClip(version, "has a config without sizes");
  }
  TensorShapes names;
  for (const v1::TensorEntry& entry : manifest.tensors()) {
    names[entry.name()];
  }
  const TensorShapes expected =
      WithHeadLike(ExpectedTensors(config), config, names);
  if (static_cast<size_t>(manifest.tensors_size()) != expected.size()) {
    return InvalidClip(version,
                       absl::StrCat("has ", manifest.tensors_size(),
                                    " tensors, its config ", expected.size()));
  }
  for (const v1::TensorEntry& entry : manifest.tensors()) {
    const auto found = expected.find(entry.name());
    if (found == expected.end() ||
        !std::equal(found->second.begin(), found->second.end(),
                    entry.shape().begin(), entry.shape().end())) {
      return InvalidClip(version,
                         absl::StrCat("has a tensor '", entry.name(),
                                      "' that its config does not have so"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

ClipConfig FromProto(const v1::ClipConfig& proto) {
  ClipConfig config;
  config.image_size = proto.image_size();
  config.patch_size = proto.patch_size();
  config.vision_width = proto.vision_width();
  config.vision_layers = proto.vision_layers();
  config.vision_heads = proto.vision_heads();
  config.text_width = proto.text_width();
  config.text_layers = proto.text_layers();
  config.text_heads = proto.text_heads();
  config.context_length = proto.context_length();
  config.vocabulary_size = proto.vocabulary_size();
  config.embedding_size = proto.embedding_size();
  config.activation = proto.activation() == v1::ACTIVATION_GELU
                          ? Activation::kGelu
                          : Activation::kQuickGelu;
  for (size_t i = 0; i < 3; ++i) {
    const int at = static_cast<int>(i);
    if (at < proto.pixel_mean_size()) {
      config.pixel_mean[i] = proto.pixel_mean(at);
    }
    if (at < proto.pixel_deviation_size()) {
      config.pixel_deviation[i] = proto.pixel_deviation(at);
    }
  }
  return config;
}

absl::StatusOr<model::Tensors> FetchTensors(
    transport::ServerConnection& connection, const v1::TensorManifest& manifest,
    TensorsByDigest* by_digest) {
  std::vector<std::string> digests;
  for (const v1::TensorEntry& entry : manifest.tensors()) {
    digests.push_back(entry.blob_digest());
  }
  model::Tensors tensors;
  ATTUNE_RETURN_IF_ERROR(transport::GetBlobs(
      connection, digests, [&](size_t index, std::string bytes) {
        const v1::TensorEntry& entry =
            manifest.tensors(static_cast<int>(index));
        absl::StatusOr<at::Tensor> tensor =
            model::CatchTorchErrors([&]() -> absl::StatusOr<at::Tensor> {
              return model::TensorFromBytes(
                  static_cast<safetensors::DataType>(entry.data_type()),
                  {entry.shape().begin(), entry.shape().end()}, bytes);
            });
        if (!tensor.ok()) {
          return WithReason(
              absl::Status(tensor.status().code(),
                           absl::StrCat("tensor '", entry.name(),
                                        "': ", tensor.status().message())),
              ErrorReason(tensor.status()));
        }
        if (by_digest != nullptr) (*by_digest)[entry.blob_digest()] = *tensor;
        tensors[entry.name()] = *std::move(tensor);
        return absl::OkStatus();
      }));
  return tensors;
}

absl::StatusOr<LoadedVersion> LoadVersion(
    transport::ServerConnection& connection, const v1::VersionContent& content,
    const at::Device& device, const TensorsByDigest& known) {
  LoadedVersion version;
  version.config = FromProto(content.config());
  ATTUNE_RETURN_IF_ERROR(
      CheckTensors(content.version(), version.config, content.manifest()));
  v1::TensorManifest missing;
  for (const v1::TensorEntry& entry : content.manifest().tensors()) {
    const auto found = known.find(entry.blob_digest());
    if (found != known.end()) {
      version.by_digest[entry.blob_digest()] = found->second;
    } else {
      *missing.add_tensors() = entry;
    }
  }
  TensorsByDigest fetched;
  ATTUNE_RETURN_IF_ERROR(FetchTensors(connection, missing, &fetched).status());
  return model::CatchTorchErrors([&]() -> absl::StatusOr<LoadedVersion> {
    for (auto& [digest, tensor] : fetched) {
      version.by_digest[digest] = tensor.to(device, at::kFloat);
    }
    for (const v1::TensorEntry& entry : content.manifest().tensors()) {
      const at::Tensor& tensor = version.by_digest.at(entry.blob_digest());
      // Two equal blobs may have different shapes.
      version.tensors[entry.name()] = tensor.view(
          std::vector<int64_t>(entry.shape().begin(), entry.shape().end()));
    }
    return std::move(version);
  });
}

}  // namespace attune::content
