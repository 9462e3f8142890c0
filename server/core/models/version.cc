#include "server/core/models/version.h"

#include <array>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

absl::Status InvalidManifest(absl::string_view tensor,
                             absl::string_view problem) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_MANIFEST",
               absl::StrCat("tensor '", absl::CHexEscape(tensor.substr(0, 200)),
                            "': ", problem));
}

// The product of the sizes; -1 when it overflows or a size is negative.
int64_t ElementCount(const storage::TensorEntry& tensor) {
  int64_t count = 1;
  for (int64_t size : tensor.shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return -1;
  }
  return count;
}

absl::Status ValidateEntry(const storage::TensorEntry& tensor) {
  const int64_t value_bytes = safetensors::ByteSize(tensor.data_type);
  const int64_t count = ElementCount(tensor);
  int64_t bytes = 0;
  if (value_bytes == 0) {
    return InvalidManifest(tensor.name, "unknown data type");
  }
  if (count <= 0 || __builtin_mul_overflow(count, value_bytes, &bytes) ||
      bytes != tensor.size_bytes) {
    return InvalidManifest(
        tensor.name,
        absl::StrCat("shape [", absl::StrJoin(tensor.shape, ", "),
                     "] does not have ", tensor.size_bytes, " bytes"));
  }
  if (!IsSha256Hex(tensor.blob_digest)) {
    return InvalidManifest(tensor.name, "its digest is no SHA-256");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateManifest(const storage::TensorManifest& manifest) {
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (manifest[i].name.empty()) {
      return InvalidManifest("", "a tensor has no name");
    }
    if (i > 0 && manifest[i].name <= manifest[i - 1].name) {
      return InvalidManifest(manifest[i].name,
                             "names must be distinct and sorted");
    }
    ATTUNE_RETURN_IF_ERROR(ValidateEntry(manifest[i]));
  }
  return absl::OkStatus();
}

std::string VersionDigest(const storage::ClipConfig& config,
                          const storage::TensorManifest& manifest) {
  Sha256 hash;
  hash.Update(absl::StrCat(
      "attune-version-1\n", config.image_size, " ", config.patch_size, " ",
      config.vision_width, " ", config.vision_layers, " ", config.vision_heads,
      " ", config.text_width, " ", config.text_layers, " ", config.text_heads,
      " ", config.context_length, " ", config.vocabulary_size, " ",
      config.embedding_size, " ", static_cast<int>(config.activation), "\n"));
  // Nine significant digits tell all floats apart.
  for (const std::array<float, 3>* values :
       {&config.pixel_mean, &config.pixel_deviation}) {
    for (float value : *values) {
      hash.Update(absl::StrFormat("%.9g ", value));
    }
    hash.Update("\n");
  }
  for (const storage::TensorEntry& tensor : manifest) {
    // The length first: a name may hold any character.
    hash.Update(absl::StrCat(tensor.name.size(), " ", tensor.name, " ",
                             static_cast<int>(tensor.data_type), " [",
                             absl::StrJoin(tensor.shape, ","), "] ",
                             tensor.blob_digest, "\n"));
  }
  return hash.FinishHex();
}

absl::StatusOr<storage::Version> AddVersion(
    storage::StateTransaction& transaction, storage::Version version,
    const storage::TensorManifest& manifest, bool move_latest) {
  storage::ModelStore& models = transaction.models();
  absl::flat_hash_set<std::string> of_base;
  if (!version.base.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(const storage::Version base,
                            ResolveSelector(transaction, "base", version.base));
    ATTUNE_ASSIGN_OR_RETURN(const storage::TensorManifest base_manifest,
                            models.GetManifest(base.digest));
    for (const storage::TensorEntry& tensor : base_manifest) {
      of_base.insert(tensor.blob_digest);
    }
  }
  version.digest = VersionDigest(version.config, manifest);
  version.tensor_count = static_cast<int64_t>(manifest.size());
  version.parameter_count = 0;
  version.size_bytes = 0;
  version.own_size_bytes = 0;
  for (const storage::TensorEntry& tensor : manifest) {
    version.parameter_count += ElementCount(tensor);
    version.size_bytes += tensor.size_bytes;
    // A blob that two tensors share counts once.
    if (of_base.insert(tensor.blob_digest).second) {
      version.own_size_bytes += tensor.size_bytes;
    }
  }
  if (const absl::Status found = models.Get(version.model).status();
      absl::IsNotFound(found)) {
    ATTUNE_RETURN_IF_ERROR(models.Insert({.name = version.model,
                                          .create_time = version.create_time,
                                          .version_count = 0,
                                          .aliases = {}}));
  } else {
    ATTUNE_RETURN_IF_ERROR(found);
  }
  ATTUNE_ASSIGN_OR_RETURN(version.number, models.AddVersion(version, manifest));
  if (move_latest) {
    ATTUNE_RETURN_IF_ERROR(
        models.SetAlias(version.model, kLatestAlias, version.number));
  }
  return version;
}

}  // namespace attune::core
