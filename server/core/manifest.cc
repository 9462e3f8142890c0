#include "server/core/manifest.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::core {
namespace {

using storage::DataType;
using storage::TensorEntry;
using storage::TensorManifest;

// No tensor of a CLIP is near this; it keeps products of sizes in range.
constexpr int64_t kMaxElements = int64_t{1} << 40;

bool IsPrintable(absl::string_view name) {
  return !name.empty() && name.size() <= 512 &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return absl::ascii_iscntrl(c); });
}

int64_t ElementBytes(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return 4;
    case DataType::kFloat16:
    case DataType::kBFloat16:
      return 2;
    case DataType::kInt64:
      return 8;
    case DataType::kUInt8:
      return 1;
  }
  return 0;
}

// -1 when a size is negative or the product too large.
int64_t ElementCount(const TensorEntry& tensor) {
  int64_t count = 1;
  for (const int64_t size : tensor.shape) {
    if (size < 0 || size > kMaxElements) return -1;
    count *= size;
    if (count > kMaxElements) return -1;
  }
  return count;
}

absl::Status InvalidManifest(const TensorEntry& tensor,
                             absl::string_view problem) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_MANIFEST",
               absl::StrCat("tensor '", tensor.name, "': ", problem));
}

}  // namespace

absl::Status ValidateManifest(const TensorManifest& manifest) {
  for (size_t i = 0; i < manifest.size(); ++i) {
    const TensorEntry& tensor = manifest[i];
    if (!IsPrintable(tensor.name)) {
      return InvalidManifest(
          tensor, "a name has 1 to 512 characters, no control characters");
    }
    if (i > 0 && manifest[i - 1].name >= tensor.name) {
      return InvalidManifest(tensor, "names must be sorted and distinct");
    }
    if (!IsSha256Hex(tensor.blob_digest)) {
      return InvalidManifest(tensor, "blob_digest is not a SHA-256");
    }
    const int64_t count = ElementCount(tensor);
    const int64_t element_bytes = ElementBytes(tensor.data_type);
    if (count < 0) return InvalidManifest(tensor, "the shape is impossible");
    if (element_bytes == 0) return InvalidManifest(tensor, "unknown data type");
    if (tensor.size_bytes != count * element_bytes) {
      return InvalidManifest(
          tensor,
          absl::StrCat("size_bytes is ", tensor.size_bytes,
                       ", type and shape make ", count * element_bytes));
    }
  }
  return absl::OkStatus();
}

std::string ManifestDigest(const TensorManifest& manifest) {
  Sha256 digest;
  for (const TensorEntry& tensor : manifest) {
    // Names hold no line feed, and every field ends, so that two manifests
    // never write the same bytes.
    std::string line = absl::StrCat(tensor.name, "\n",
                                    static_cast<int>(tensor.data_type), "\n");
    for (const int64_t size : tensor.shape) absl::StrAppend(&line, size, ",");
    absl::StrAppend(&line, "\n", tensor.blob_digest, "\n");
    digest.Update(line);
  }
  return digest.FinishHex();
}

void DescribeManifest(const TensorManifest& manifest,
                      const TensorManifest& base, storage::Version& version) {
  version.digest = ManifestDigest(manifest);
  version.tensor_count = static_cast<int64_t>(manifest.size());
  version.parameter_count = version.size_bytes = version.own_size_bytes = 0;
  std::set<absl::string_view> known;
  for (const TensorEntry& tensor : base) known.insert(tensor.blob_digest);
  for (const TensorEntry& tensor : manifest) {
    version.parameter_count += ElementCount(tensor);
    version.size_bytes += tensor.size_bytes;
    if (known.insert(tensor.blob_digest).second) {
      version.own_size_bytes += tensor.size_bytes;
    }
  }
}

absl::Status CheckBlobs(const storage::BlobStore& blobs,
                        const TensorManifest& manifest) {
  for (const TensorEntry& tensor : manifest) {
    const absl::StatusOr<int64_t> size = blobs.Size(tensor.blob_digest);
    if (absl::IsNotFound(size.status())) {
      return Error(
          absl::StatusCode::kFailedPrecondition, "BLOB_MISSING",
          absl::StrCat("blob ", tensor.blob_digest, " of tensor '", tensor.name,
                       "' is not stored: call PutBlobs first"));
    }
    ATTUNE_RETURN_IF_ERROR(size.status());
    if (*size != tensor.size_bytes) {
      return InvalidManifest(
          tensor, absl::StrCat("its blob has ", *size, " bytes, not ",
                               tensor.size_bytes));
    }
  }
  return absl::OkStatus();
}

}  // namespace attune::core
