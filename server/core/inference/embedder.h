#ifndef ATTUNE_SERVER_CORE_INFERENCE_EMBEDDER_H_
#define ATTUNE_SERVER_CORE_INFERENCE_EMBEDDER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/core/cancellation.h"
#include "server/core/inference/inference.h"
#include "server/core/inference/router.h"
#include "server/core/inference/text_cache.h"
#include "server/core/metrics.h"

namespace attune::core {

inline constexpr int kMaxImages = 256;
inline constexpr int kMaxTexts = 10'000;

// How long a call may take, and how it hears that nobody waits.
struct CallScope {
  absl::Duration timeout = absl::InfiniteDuration();
  std::shared_ptr<Cancellation> cancellation;
};

using TokenRows = std::vector<std::vector<int32_t>>;

// Embeddings of pictures and texts: what can be answered here is (bad image
// headers, texts embedded before), the rest goes to the router. Thread-safe;
// nothing blocks, though many texts take a while to tokenise.
class Embedder {
 public:
  // The arguments outlive the embedder and its calls.
  Embedder(Router& router, TextCache& cache, Metrics& metrics)
      : router_(router), cache_(cache), metrics_(metrics) {}

  // The tokens of each text. INVALID_ARGUMENT naming `field`[i] of each text
  // that is none (reason INVALID_TEXT) or is longer than the version's context
  // (TEXT_TOO_LONG); FAILED_PRECONDITION, reason UNSUPPORTED_VOCABULARY, when
  // the version is not of CLIP's vocabulary.
  static absl::StatusOr<TokenRows> Tokenize(const ServedVersion& version,
                                            absl::string_view field,
                                            absl::Span<const std::string> texts,
                                            bool truncate);

  // The embeddings of texts if all are in the cache.
  std::optional<Embeddings> FindTexts(const ServedVersion& version,
                                      const TokenRows& rows);

  // Calls `done` with one embedding a row; errors as Router::Submit.
  void EmbedTexts(std::shared_ptr<const ServedVersion> version, TokenRows rows,
                  const CallScope& scope, EmbeddingsCallback done);

  // Calls `done` with one embedding an image; one whose header is bad has
  // INVALID_ARGUMENT, reason INVALID_IMAGE, and costs its neighbours nothing.
  void EmbedImages(std::shared_ptr<const ServedVersion> version,
                   absl::Span<const absl::string_view> images,
                   const CallScope& scope, EmbeddingsCallback done);

 private:
  void Submit(std::shared_ptr<const ServedVersion> version, InputKind kind,
              std::vector<InferenceInput> inputs, const CallScope& scope,
              EmbeddingsCallback done);

  Router& router_;
  TextCache& cache_;
  Metrics& metrics_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_EMBEDDER_H_
