#include "server/core/models/linear_head.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/safetensors/clip_layout.h"
#include "common/status_macros.h"

namespace attune::core {
namespace {

absl::Status Damaged(absl::string_view problem) {
  return Error(absl::StatusCode::kDataLoss, "INVALID_HEAD",
               absl::StrCat("the version's linear head ", problem));
}

const storage::TensorEntry* Find(const storage::TensorManifest& manifest,
                                 absl::string_view name) {
  const auto found = std::find_if(
      manifest.begin(), manifest.end(),
      [&](const storage::TensorEntry& entry) { return entry.name == name; });
  return found == manifest.end() ? nullptr : &*found;
}

absl::StatusOr<std::vector<float>> ReadFloats(const storage::TensorEntry& entry,
                                              const storage::BlobStore& blobs) {
  if (entry.data_type != storage::DataType::kFloat32) {
    return Damaged("is not stored in fp32");
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::string bytes,
                          blobs.ReadAll(entry.blob_digest));
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

void LinearHead::Apply(double t, absl::Span<float> embeddings) const {
  if (t == 0) return;
  std::vector<float> powers(dimensions), inner(dimensions);
  for (int64_t j = 0; j < dimensions; ++j) {
    powers[j] = static_cast<float>(std::pow(static_cast<double>(s[j]), t));
  }
  for (size_t row = 0; row < embeddings.size();
       row += static_cast<size_t>(dimensions)) {
    float* x = embeddings.data() + row;
    // Both products run along rows of V, so that they vectorise.
    std::fill(inner.begin(), inner.end(), 0.0f);
    for (int64_t i = 0; i < dimensions; ++i) {
      const float* v_row = v.data() + i * dimensions;
      for (int64_t j = 0; j < dimensions; ++j) inner[j] += x[i] * v_row[j];
    }
    for (int64_t j = 0; j < dimensions; ++j) inner[j] *= powers[j];
    for (int64_t i = 0; i < dimensions; ++i) {
      const float* v_row = v.data() + i * dimensions;
      float sum = 0;
      for (int64_t j = 0; j < dimensions; ++j) sum += v_row[j] * inner[j];
      x[i] = sum;
    }
  }
}

absl::StatusOr<std::optional<LinearHead>> ReadLinearHead(
    const storage::TensorManifest& manifest, const storage::BlobStore& blobs) {
  const storage::TensorEntry* directions = Find(manifest, kHeadDirections);
  const storage::TensorEntry* values = Find(manifest, kHeadSingularValues);
  if (directions == nullptr && values == nullptr) return std::nullopt;
  if (directions == nullptr || values == nullptr) {
    return Damaged("lacks one of its two tensors");
  }
  LinearHead head;
  ATTUNE_ASSIGN_OR_RETURN(head.v, ReadFloats(*directions, blobs));
  ATTUNE_ASSIGN_OR_RETURN(head.s, ReadFloats(*values, blobs));
  head.dimensions = static_cast<int64_t>(head.s.size());
  if (head.v.size() != head.s.size() * head.s.size()) {
    return Damaged("has tensors of sizes that do not agree");
  }
  for (const float value : head.s) {
    if (!(value > 0) || !std::isfinite(value)) {
      return Damaged("has a singular value that is not above 0");
    }
  }
  return head;
}

bool HasLinearHead(const storage::TensorManifest& manifest) {
  return Find(manifest, kHeadDirections) != nullptr;
}

absl::StatusOr<double> ResolveKnob(bool has_head, std::optional<double> t,
                                   absl::string_view field) {
  if (!t.has_value()) return has_head ? kTrainedKnob : 0;
  if (!has_head) {
    return InvalidFields("NO_LINEAR_HEAD",
                         {{std::string(field),
                           "the version has no linear head: leave it unset"}});
  }
  if (!(*t >= -kMaxKnob && *t <= kMaxKnob)) {
    return InvalidField(
        field, absl::StrCat("must be from ", -kMaxKnob, " to ", kMaxKnob));
  }
  return *t;
}

}  // namespace attune::core
