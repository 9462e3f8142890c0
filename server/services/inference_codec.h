// Requests and answers of InferenceService to and from server/core's values.

#ifndef ATTUNE_SERVER_SERVICES_INFERENCE_CODEC_H_
#define ATTUNE_SERVER_SERVICES_INFERENCE_CODEC_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "attune/v1/inference_service.pb.h"
#include "google/protobuf/repeated_field.h"
#include "server/core/inference/classifier.h"
#include "server/core/inference/embedder.h"

namespace attune::services {

using RepeatedString = google::protobuf::RepeatedPtrField<std::string>;

// INVALID_ARGUMENT naming the field when there are too few or too many, or
// when the answer would not fit a message (reason RESPONSE_TOO_LARGE).
absl::Status ValidateImages(const RepeatedString& images);
absl::Status ValidateTexts(const RepeatedString& texts, int64_t dimensions);
// `image_count` of each answer, over all answers.
absl::Status ValidateScores(int64_t image_count, const RepeatedString& labels,
                            int32_t top_k);

// A question of ClassifyImages or Compare; points into the request.
class QueryView {
 public:
  QueryView(const RepeatedString& images, const RepeatedString& labels,
            const RepeatedString& templates, int32_t top_k, bool truncate);

  // `t` as from ResolveKnob.
  core::ZeroShotQuery query(double t) const;

 private:
  std::vector<absl::string_view> images_;
  std::vector<std::string> labels_;
  std::vector<std::string> templates_;
  int32_t top_k_;
  bool truncate_;
};

// Appends one entry an embedding.
void Encode(const core::Embeddings& embeddings,
            google::protobuf::RepeatedPtrField<v1::Embedding>* out);

// Appends one entry an image; `labels` are the request's.
void Encode(const std::vector<core::Classification>& classifications,
            const RepeatedString& labels, v1::ClassifyImagesResponse* response);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_INFERENCE_CODEC_H_
