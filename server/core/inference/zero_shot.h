// Zero-shot answers computed from embeddings: no tensor library is needed.

#ifndef ATTUNE_SERVER_CORE_INFERENCE_ZERO_SHOT_H_
#define ATTUNE_SERVER_CORE_INFERENCE_ZERO_SHOT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace attune::core {

inline constexpr int kMaxLabels = 10'000;
inline constexpr int kMaxTemplates = 256;
// Labels × templates.
inline constexpr int64_t kMaxPrompts = 100'000;
// Where a template takes the label.
inline constexpr absl::string_view kLabelPlaceholder = "{}";

// Labels: 1 to kMaxLabels distinct texts. Templates: each a text with the
// placeholder exactly once; none means the labels as they are.
// INVALID_ARGUMENT, reason INVALID_LABELS or INVALID_TEMPLATES, naming the
// field.
absl::Status ValidateLabels(absl::Span<const std::string> labels,
                            absl::Span<const std::string> templates);

// The prompts of all labels, label by label: [labels × templates].
// REQUIRES: ValidateLabels is OK.
std::vector<std::string> MakePrompts(absl::Span<const std::string> labels,
                                     absl::Span<const std::string> templates);

// g(y) of each label: the mean of its prompts' embeddings, L2-normalised.
// `prompts` is [labels × per_label, dimensions]; the result
// [labels, dimensions]. A label whose mean is zero keeps zeros.
std::vector<float> AverageTemplates(absl::Span<const float> prompts,
                                    int64_t per_label, int64_t dimensions);

struct LabelScore {
  int64_t label = 0;
  double probability = 0;
  double logit = 0;
};

// π(y|x) = softmax over labels of scale · f(x)·g(y), computed in double; the
// `top_k` best labels first (0: all), equal ones in the order of labels.
// `image` is [dimensions], `labels` [n, dimensions], n > 0.
std::vector<LabelScore> ClassifyImage(absl::Span<const float> image,
                                      absl::Span<const float> labels,
                                      double scale, int64_t top_k);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_ZERO_SHOT_H_
