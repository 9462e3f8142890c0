// The linear transformation that a version may have on top of both towers, and
// its knob t (docs/architecture.md): f(x) and g(y) become V Sᵗ Vᵀ f(x) and
// V Sᵗ Vᵀ g(y), not re-normalised. t = 0 is the model that it was trained from.

#ifndef ATTUNE_SERVER_CORE_MODELS_LINEAR_HEAD_H_
#define ATTUNE_SERVER_CORE_MODELS_LINEAR_HEAD_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/blob_store.h"
#include "storage/records.h"

namespace attune::core {

inline constexpr double kTrainedKnob = 1;
// Beyond it fp32 overflows: singular values are as small as 1e-3.
inline constexpr double kMaxKnob = 4;

struct LinearHead {
  int64_t dimensions = 0;
  // V [D, D] by rows: the directions are its columns.
  std::vector<float> v;
  // S [D] > 0.
  std::vector<float> s;

  // Turns each row of `embeddings` [n, D] into V Sᵗ Vᵀ of it; as they are for
  // t = 0. 2 D² operations a row.
  void Apply(double t, absl::Span<float> embeddings) const;
};

// The head of a version; empty for one without. Blocks on the disk. DATA_LOSS,
// reason INVALID_HEAD, when its tensors cannot be used; errors of ReadAll.
absl::StatusOr<std::optional<LinearHead>> ReadLinearHead(
    const storage::TensorManifest& manifest, const storage::BlobStore& blobs);

// Whether a version with these tensors has one.
bool HasLinearHead(const storage::TensorManifest& manifest);

// The t of a call: the one asked for, else kTrainedKnob for a version with a
// head and 0 without. INVALID_ARGUMENT naming `field` when it is not in
// [−kMaxKnob, kMaxKnob] (INVALID_FIELD) or is asked of a version without a head
// (NO_LINEAR_HEAD).
absl::StatusOr<double> ResolveKnob(bool has_head, std::optional<double> t,
                                   absl::string_view field);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_LINEAR_HEAD_H_
