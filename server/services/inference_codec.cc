#include "server/services/inference_codec.h"

#include <algorithm>
#include <cstdint>
#include <functional>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "server/services/serve_codec.h"

namespace attune::services {
namespace {

// Tags, lengths and numbers of one LabelScore and of one Embedding, at most.
constexpr int64_t kScoreBytes = 24;
constexpr int64_t kEmbeddingBytes = 12;

absl::Status CheckCount(absl::string_view field, int count, int limit) {
  if (count >= 1 && count <= limit) return absl::OkStatus();
  return InvalidField(field,
                      absl::StrCat("1 to ", limit, " are needed, not ", count));
}

absl::Status CheckResponse(absl::string_view field, int64_t bytes,
                           absl::string_view advice) {
  if (bytes <= kMaxInferenceBytes) return absl::OkStatus();
  return InvalidFields(
      "RESPONSE_TOO_LARGE",
      {{std::string(field),
        absl::StrCat("the answer would have ", bytes, " bytes, more than ",
                     kMaxInferenceBytes, ": ", advice)}});
}

}  // namespace

absl::Status ValidateImages(const RepeatedString& images) {
  return CheckCount("images", images.size(), core::kMaxImages);
}

absl::Status ValidateTexts(const RepeatedString& texts, int64_t dimensions) {
  if (absl::Status status = CheckCount("texts", texts.size(), core::kMaxTexts);
      !status.ok()) {
    return status;
  }
  const int64_t each =
      dimensions * static_cast<int64_t>(sizeof(float)) + kEmbeddingBytes;
  return CheckResponse("texts", texts.size() * each, "send fewer texts");
}

absl::Status ValidateScores(int64_t image_count, const RepeatedString& labels,
                            int32_t top_k) {
  if (top_k < 0) return InvalidField("top_k", "is negative");
  std::vector<int64_t> sizes;
  for (const std::string& label : labels) {
    sizes.push_back(static_cast<int64_t>(label.size()) + kScoreBytes);
  }
  const size_t kept =
      top_k == 0 ? sizes.size() : std::min<size_t>(top_k, sizes.size());
  std::partial_sort(sizes.begin(), sizes.begin() + kept, sizes.end(),
                    std::greater<>());
  int64_t each = 0;
  for (size_t i = 0; i < kept; ++i) each += sizes[i];
  return CheckResponse("top_k", image_count * each,
                       "ask for fewer labels with top_k, or send fewer images");
}

QueryView::QueryView(const RepeatedString& images, const RepeatedString& labels,
                     const RepeatedString& templates, int32_t top_k,
                     bool truncate)
    : images_(images.begin(), images.end()),
      labels_(labels.begin(), labels.end()),
      templates_(templates.begin(), templates.end()),
      top_k_(top_k),
      truncate_(truncate) {}

core::ZeroShotQuery QueryView::query(double t) const {
  return {.images = images_,
          .labels = labels_,
          .templates = templates_,
          .top_k = top_k_,
          .truncate = truncate_,
          .t = t};
}

void Encode(const core::Embeddings& embeddings,
            google::protobuf::RepeatedPtrField<v1::Embedding>* out) {
  out->Reserve(static_cast<int>(embeddings.errors.size()));
  for (size_t i = 0; i < embeddings.errors.size(); ++i) {
    v1::Embedding* item = out->Add();
    if (!embeddings.errors[i].ok()) {
      *item->mutable_error() = ToItemError(embeddings.errors[i]);
      continue;
    }
    const auto first = embeddings.values.begin() +
                       static_cast<int64_t>(i) * embeddings.dimensions;
    item->mutable_values()->Assign(first, first + embeddings.dimensions);
  }
}

void Encode(const std::vector<core::Classification>& classifications,
            const RepeatedString& labels,
            v1::ClassifyImagesResponse* response) {
  for (const core::Classification& classification : classifications) {
    v1::Classification* item = response->add_classifications();
    if (!classification.error.ok()) {
      *item->mutable_error() = ToItemError(classification.error);
      continue;
    }
    for (const core::LabelScore& score : classification.scores) {
      v1::LabelScore* out = item->add_scores();
      out->set_label_index(static_cast<int32_t>(score.label));
      out->set_label(labels.Get(static_cast<int>(score.label)));
      out->set_probability(static_cast<float>(score.probability));
      out->set_logit(static_cast<float>(score.logit));
    }
  }
}

}  // namespace attune::services
