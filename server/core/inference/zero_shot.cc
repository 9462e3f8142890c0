#include "server/core/inference/zero_shot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/error.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace attune::core {
namespace {

absl::Status Invalid(absl::string_view reason, std::string field,
                     std::string problem) {
  return InvalidFields(reason, {{std::move(field), std::move(problem)}});
}

double Dot(const float* a, const float* b, int64_t size) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

absl::Status ValidateLabels(absl::Span<const std::string> labels,
                            absl::Span<const std::string> templates) {
  if (labels.empty() || labels.size() > kMaxLabels) {
    return Invalid(
        "INVALID_LABELS", "labels",
        absl::StrCat("1 to ", kMaxLabels, " are needed, not ", labels.size()));
  }
  if (templates.size() > kMaxTemplates ||
      static_cast<int64_t>(labels.size() * templates.size()) > kMaxPrompts) {
    return Invalid("INVALID_TEMPLATES", "templates",
                   absl::StrCat("at most ", kMaxTemplates, ", and ",
                                kMaxPrompts, " times labels"));
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string field = absl::StrCat("labels[", i, "]");
    ATTUNE_RETURN_IF_ERROR(ValidateText(field, labels[i]));
    if (!seen.insert(labels[i]).second) {
      return Invalid("INVALID_LABELS", field,
                     absl::StrCat("'", labels[i], "' is there twice"));
    }
  }
  for (size_t i = 0; i < templates.size(); ++i) {
    const std::string field = absl::StrCat("templates[", i, "]");
    ATTUNE_RETURN_IF_ERROR(ValidateText(field, templates[i]));
    const absl::string_view text = templates[i];
    const size_t first = text.find(kLabelPlaceholder);
    if (first == absl::string_view::npos ||
        text.find(kLabelPlaceholder, first + 1) != absl::string_view::npos) {
      return Invalid("INVALID_TEMPLATES", field,
                     "needs \"{}\" once, where the label goes");
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> MakePrompts(absl::Span<const std::string> labels,
                                     absl::Span<const std::string> templates) {
  if (templates.empty()) return {labels.begin(), labels.end()};
  std::vector<std::string> prompts;
  prompts.reserve(labels.size() * templates.size());
  for (const std::string& label : labels) {
    for (const std::string& text : templates) {
      prompts.push_back(
          absl::StrReplaceAll(text, {{kLabelPlaceholder, label}}));
    }
  }
  return prompts;
}

std::vector<float> AverageTemplates(absl::Span<const float> prompts,
                                    int64_t per_label, int64_t dimensions) {
  if (per_label == 1) return {prompts.begin(), prompts.end()};
  const int64_t labels =
      static_cast<int64_t>(prompts.size()) / (per_label * dimensions);
  std::vector<float> result(labels * dimensions);
  std::vector<double> mean(dimensions);
  for (int64_t label = 0; label < labels; ++label) {
    std::fill(mean.begin(), mean.end(), 0);
    for (int64_t k = 0; k < per_label; ++k) {
      const float* prompt =
          prompts.data() + (label * per_label + k) * dimensions;
      for (int64_t d = 0; d < dimensions; ++d) mean[d] += prompt[d];
    }
    const double norm = std::sqrt(
        std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0));
    if (norm == 0) continue;
    for (int64_t d = 0; d < dimensions; ++d) {
      result[label * dimensions + d] = static_cast<float>(mean[d] / norm);
    }
  }
  return result;
}

std::vector<LabelScore> ClassifyImage(absl::Span<const float> image,
                                      absl::Span<const float> labels,
                                      double scale, int64_t top_k) {
  const auto dimensions = static_cast<int64_t>(image.size());
  const int64_t count = static_cast<int64_t>(labels.size()) / dimensions;
  std::vector<LabelScore> scores(count);
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < count; ++i) {
    scores[i].label = i;
    scores[i].logit =
        scale * Dot(image.data(), labels.data() + i * dimensions, dimensions);
    largest = std::max(largest, scores[i].logit);
  }
  double sum = 0;
  for (LabelScore& score : scores) {
    score.probability = std::exp(score.logit - largest);
    sum += score.probability;
  }
  for (LabelScore& score : scores) score.probability /= sum;
  const int64_t kept = top_k == 0 ? count : std::min(top_k, count);
  std::partial_sort(scores.begin(), scores.begin() + kept, scores.end(),
                    [](const LabelScore& a, const LabelScore& b) {
                      return a.logit != b.logit ? a.logit > b.logit
                                                : a.label < b.label;
                    });
  scores.resize(kept);
  return scores;
}

}  // namespace attune::core
