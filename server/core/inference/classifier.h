#ifndef ATTUNE_SERVER_CORE_INFERENCE_CLASSIFIER_H_
#define ATTUNE_SERVER_CORE_INFERENCE_CLASSIFIER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/core/executor.h"
#include "server/core/inference/embedder.h"
#include "server/core/inference/zero_shot.h"

namespace attune::core {

// A zero-shot question; what it points to outlives the answer.
struct ZeroShotQuery {
  absl::Span<const absl::string_view> images;
  absl::Span<const std::string> labels;
  absl::Span<const std::string> templates;
  int64_t top_k = 0;  // 0: all labels
  bool truncate = false;
  double t = 0;  // of ResolveKnob
};

struct Classification {
  std::vector<LabelScore> scores;  // best first; empty when the item failed
  absl::Status error;
};

// Runs once on any thread.
using ClassifyCallback =
    absl::AnyInvocable<void(absl::StatusOr<std::vector<Classification>>)>;

// Answers zero-shot questions. The embeddings of a list of labels under its
// templates are kept, so that asking again costs neither tokens nor averages.
// Thread-safe.
class Classifier {
 public:
  // The arguments outlive the classifier and its calls.
  Classifier(Embedder& embedder, TextCache& label_cache, Executor& executor)
      : embedder_(embedder), label_cache_(label_cache), executor_(executor) {}

  // Calls `done` with one classification an image; the errors of
  // ValidateLabels, Tokenize and the embedder. REQUIRES: on a thread that may
  // compute for a while.
  void Classify(std::shared_ptr<const ServedVersion> version,
                const ZeroShotQuery& query, const CallScope& scope,
                ClassifyCallback done);

 private:
  struct Pending;

  // One of the two embeddings is there.
  void Arrived(const std::shared_ptr<Pending>& pending);
  void Answer(Pending& pending);

  Embedder& embedder_;
  TextCache& label_cache_;
  Executor& executor_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_INFERENCE_CLASSIFIER_H_
