#include "server/core/inference/classifier.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/error.h"

namespace attune::core {
namespace {

// What the label embeddings depend on. Lengths tell where texts end.
std::string LabelKey(const ServedVersion& version, const ZeroShotQuery& query) {
  Sha256 hash;
  for (const auto& texts : {query.labels, query.templates}) {
    hash.Update(absl::StrCat(texts.size(), ":"));
    for (const std::string& text : texts) {
      hash.Update(absl::StrCat(text.size(), ":"));
      hash.Update(text);
    }
  }
  hash.Update(query.truncate ? "1" : "0");
  return absl::StrCat(version.version.digest, hash.FinishHex());
}

}  // namespace

// Waits for the images' and the labels' embeddings.
struct Classifier::Pending {
  std::shared_ptr<const ServedVersion> version;
  ZeroShotQuery query;
  ClassifyCallback done;
  absl::StatusOr<Embeddings> images;
  std::string label_key;
  // [labels × templates, D], or [labels, D] out of the cache.
  absl::StatusOr<std::vector<float>> labels;
  bool labels_cached = false;
  std::atomic<int> missing = 2;
};

void Classifier::Classify(std::shared_ptr<const ServedVersion> version,
                          const ZeroShotQuery& query, const CallScope& scope,
                          ClassifyCallback done) {
  if (absl::Status status = ValidateLabels(query.labels, query.templates);
      !status.ok()) {
    return done(std::move(status));
  }
  auto pending = std::make_shared<Pending>();
  pending->version = std::move(version);
  pending->query = query;
  pending->done = std::move(done);
  pending->label_key = LabelKey(*pending->version, query);
  std::vector<float> labels;
  TokenRows rows;
  if (label_cache_.Lookup(pending->label_key, &labels)) {
    pending->labels = std::move(labels);
    pending->labels_cached = true;
  } else {
    absl::StatusOr<TokenRows> tokens = Embedder::Tokenize(
        *pending->version, query.templates.empty() ? "labels" : "prompts",
        MakePrompts(query.labels, query.templates), query.truncate);
    if (!tokens.ok()) return pending->done(tokens.status());
    rows = *std::move(tokens);
  }
  embedder_.EmbedImages(pending->version, query.images, scope,
                        [this, pending](absl::StatusOr<Embeddings> images) {
                          pending->images = std::move(images);
                          Arrived(pending);
                        });
  if (pending->labels_cached) return Arrived(pending);
  embedder_.EmbedTexts(pending->version, std::move(rows), scope,
                       [this, pending](absl::StatusOr<Embeddings> prompts) {
                         if (prompts.ok()) {
                           const auto failed = std::find_if(
                               prompts->errors.begin(), prompts->errors.end(),
                               [](const absl::Status& s) { return !s.ok(); });
                           if (failed != prompts->errors.end())
                             prompts = *failed;
                         }
                         if (prompts.ok()) {
                           pending->labels = std::move(prompts->values);
                         } else {
                           pending->labels = prompts.status();
                         }
                         Arrived(pending);
                       });
}

void Classifier::Arrived(const std::shared_ptr<Pending>& pending) {
  if (pending->missing.fetch_sub(1) > 1) return;
  // Not here: this may be a thread that must not compute for long.
  const bool submitted =
      executor_.Submit([this, pending] { Answer(*pending); });
  if (!submitted) {
    pending->done(Error(absl::StatusCode::kUnavailable, "DRAINING",
                        "the server is stopping"));
  }
}

void Classifier::Answer(Pending& pending) {
  if (!pending.images.ok()) return pending.done(pending.images.status());
  if (!pending.labels.ok()) return pending.done(pending.labels.status());
  Embeddings& images = *pending.images;
  if (pending.query.t != 0) {
    // f(x)ᵀ V S²ᵗ Vᵀ g(y): it is enough to change one side, and labels, kept
    // as the towers gave them, serve every t.
    pending.version->head->Apply(2 * pending.query.t,
                                 absl::MakeSpan(images.values));
  }
  if (!pending.labels_cached) {
    const auto per_label = static_cast<int64_t>(
        std::max<size_t>(1, pending.query.templates.size()));
    pending.labels =
        AverageTemplates(*pending.labels, per_label, images.dimensions);
    label_cache_.Insert(pending.label_key, *pending.labels);
  }
  std::vector<Classification> result(images.errors.size());
  for (size_t i = 0; i < result.size(); ++i) {
    result[i].error = images.errors[i];
    if (!result[i].error.ok()) continue;
    result[i].scores = ClassifyImage(
        absl::MakeConstSpan(images.values)
            .subspan(i * images.dimensions, images.dimensions),
        *pending.labels, pending.version->scale, pending.query.top_k);
  }
  pending.done(std::move(result));
}

}  // namespace attune::core
