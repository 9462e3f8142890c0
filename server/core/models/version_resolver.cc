#include "server/core/models/version_resolver.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

// Selectors come from clients: this bounds what they can make us remember.
constexpr size_t kMaxEntries = 1024;

absl::Status Damaged(absl::string_view problem) {
  return Error(absl::StatusCode::kDataLoss, "INVALID_LOGIT_SCALE",
               absl::StrCat("the version's tensor 'logit_scale' ", problem));
}

// An IEEE half: 1 sign bit, 5 of exponent with bias 15, 10 of mantissa.
double FromHalf(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const int mantissa = bits & 0x3FF;
  const double magnitude = exponent == 0
                               ? std::ldexp(mantissa, -24)
                               : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// The value of one finite float tensor element.
absl::StatusOr<double> ReadScalar(storage::DataType type,
                                  absl::string_view bytes) {
  if (type == storage::DataType::kFloat32 && bytes.size() == 4) {
    float value;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }
  uint16_t bits = 0;
  if (bytes.size() == sizeof(bits)) {
    std::memcpy(&bits, bytes.data(), sizeof(bits));
  }
  if (type == storage::DataType::kFloat16 && bytes.size() == 2) {
    return FromHalf(bits);
  }
  if (type == storage::DataType::kBfloat16 && bytes.size() == 2) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
  }
  return Damaged("is no scalar");
}

}  // namespace

VersionResolver::Result VersionResolver::Cached(
    absl::string_view selector) const {
  const uint64_t generation = state_.model_generation();
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(selector);
  if (found == entries_.end() || found->second.generation != generation) {
    return nullptr;
  }
  return found->second.version;
}

absl::StatusOr<VersionResolver::Result> VersionResolver::Resolve(
    absl::string_view field, absl::string_view selector) {
  if (Result cached = Cached(selector)) return cached;
  // Before the read: a change that comes meanwhile makes the entry old.
  const uint64_t generation = state_.model_generation();
  auto served = std::make_shared<ServedVersion>();
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](storage::StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(served->version,
                                ResolveSelector(transaction, field, selector));
        ATTUNE_ASSIGN_OR_RETURN(
            served->manifest,
            transaction.models().GetManifest(served->version.digest));
        return absl::OkStatus();
      }));
  ATTUNE_ASSIGN_OR_RETURN(served->scale, ReadScale(served->manifest));
  ATTUNE_ASSIGN_OR_RETURN(served->head,
                          ReadLinearHead(served->manifest, blobs_));
  absl::MutexLock lock(&mutex_);
  if (entries_.size() >= kMaxEntries) entries_.clear();
  entries_.insert_or_assign(std::string(selector), Entry{generation, served});
  return served;
}

absl::StatusOr<double> VersionResolver::ReadScale(
    const storage::TensorManifest& manifest) const {
  const auto tensor = std::find_if(
      manifest.begin(), manifest.end(),
      [](const auto& entry) { return entry.name == "logit_scale"; });
  if (tensor == manifest.end()) return Damaged("is missing");
  ATTUNE_ASSIGN_OR_RETURN(const std::string bytes,
                          blobs_.ReadAll(tensor->blob_digest));
  ATTUNE_ASSIGN_OR_RETURN(const double value,
                          ReadScalar(tensor->data_type, bytes));
  if (!std::isfinite(std::exp(value))) return Damaged("is too large");
  return std::exp(value);
}

}  // namespace attune::core
