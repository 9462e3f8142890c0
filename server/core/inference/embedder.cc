#include "server/core/inference/embedder.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/image/image_header.h"
#include "common/names.h"
#include "common/text/tokenizer.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

Embeddings EmptyEmbeddings(const ServedVersion& version, size_t count) {
  Embeddings result;
  result.dimensions = version.version.config.embedding_size;
  result.values.resize(count * result.dimensions);
  result.errors.resize(count);
  return result;
}

// Copies embedding `from` of `source` to place `to`.
void CopyEmbedding(const Embeddings& source, int64_t from, int64_t to,
                   Embeddings* target) {
  const int64_t dimensions = target->dimensions;
  std::copy_n(source.values.begin() + from * dimensions, dimensions,
              target->values.begin() + to * dimensions);
  target->errors[to] = source.errors[from];
}

}  // namespace

absl::StatusOr<TokenRows> Embedder::Tokenize(
    const ServedVersion& version, absl::string_view field,
    absl::Span<const std::string> texts, bool truncate) {
  const text::Tokenizer& tokenizer = text::Tokenizer::Clip();
  const storage::ClipConfig& config = version.version.config;
  if (config.vocabulary_size < tokenizer.vocabulary_size()) {
    return Error(
        absl::StatusCode::kFailedPrecondition, "UNSUPPORTED_VOCABULARY",
        absl::StrCat(VersionName(version.version), " knows ",
                     config.vocabulary_size, " tokens, not CLIP's ",
                     tokenizer.vocabulary_size(), ": it takes no texts"));
  }
  TokenRows rows(texts.size());
  std::vector<FieldViolation> violations;
  std::string reason;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string name = absl::StrCat(field, "[", i, "]");
    absl::Status status = ValidateText(name, texts[i]);
    if (status.ok()) {
      absl::StatusOr<std::vector<int32_t>> row =
          tokenizer.EncodeForContext(texts[i], config.context_length, truncate);
      if (row.ok()) {
        rows[i] = *std::move(row);
        continue;
      }
      status = row.status();
    }
    if (reason.empty()) reason = ErrorReason(status);
    const auto fields = ErrorFields(status);
    violations.push_back({name, fields.empty() ? std::string(status.message())
                                               : fields[0].description});
  }
  if (!violations.empty()) return InvalidFields(reason, violations);
  return rows;
}

std::optional<Embeddings> Embedder::FindTexts(const ServedVersion& version,
                                              const TokenRows& rows) {
  Embeddings result;
  result.dimensions = version.version.config.embedding_size;
  result.values.reserve(rows.size() * result.dimensions);
  for (const std::vector<int32_t>& row : rows) {
    if (!cache_.Lookup(TextCache::Key(version.version.digest, row),
                       &result.values)) {
      return std::nullopt;
    }
  }
  result.errors.resize(rows.size());
  metrics_.TextCacheLookups(static_cast<int64_t>(rows.size()), 0);
  return result;
}

void Embedder::EmbedTexts(std::shared_ptr<const ServedVersion> version,
                          TokenRows rows, const CallScope& scope,
                          EmbeddingsCallback done) {
  Embeddings result = EmptyEmbeddings(*version, rows.size());
  const int64_t dimensions = result.dimensions;
  // Each distinct text that is not in the cache, and where it goes.
  std::vector<InferenceInput> inputs;
  std::vector<std::string> keys;
  std::vector<std::vector<int64_t>> places;
  absl::flat_hash_map<std::string, size_t> missing;
  std::vector<float> found;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::string key = TextCache::Key(version->version.digest, rows[i]);
    found.clear();
    if (cache_.Lookup(key, &found)) {
      std::copy(found.begin(), found.end(),
                result.values.begin() + static_cast<int64_t>(i) * dimensions);
      continue;
    }
    const auto [entry, added] = missing.emplace(key, inputs.size());
    if (added) {
      inputs.push_back({.image = "", .tokens = std::move(rows[i])});
      keys.push_back(std::move(key));
      places.emplace_back();
    }
    places[entry->second].push_back(static_cast<int64_t>(i));
  }
  const auto misses = static_cast<int64_t>(inputs.size());
  metrics_.TextCacheLookups(static_cast<int64_t>(rows.size()) - misses, misses);
  if (inputs.empty()) return done(std::move(result));
  Submit(std::move(version), InputKind::kText, std::move(inputs), scope,
         [this, result = std::move(result), keys = std::move(keys),
          places = std::move(places),
          done = std::move(done)](absl::StatusOr<Embeddings> answer) mutable {
           if (!answer.ok()) return done(answer.status());
           for (size_t i = 0; i < keys.size(); ++i) {
             if (answer->errors[i].ok()) {
               cache_.Insert(keys[i], absl::MakeSpan(answer->values)
                                          .subspan(i * answer->dimensions,
                                                   answer->dimensions));
             }
             for (int64_t place : places[i]) {
               CopyEmbedding(*answer, static_cast<int64_t>(i), place, &result);
             }
           }
           done(std::move(result));
         });
}

void Embedder::EmbedImages(std::shared_ptr<const ServedVersion> version,
                           absl::Span<const absl::string_view> images,
                           const CallScope& scope, EmbeddingsCallback done) {
  Embeddings result = EmptyEmbeddings(*version, images.size());
  std::vector<InferenceInput> inputs;
  std::vector<int64_t> places;
  for (size_t i = 0; i < images.size(); ++i) {
    if (const auto info = image::InspectImage(images[i]); !info.ok()) {
      result.errors[i] = info.status();
      continue;
    }
    inputs.push_back({.image = std::string(images[i]), .tokens = {}});
    places.push_back(static_cast<int64_t>(i));
  }
  if (inputs.empty()) return done(std::move(result));
  Submit(std::move(version), InputKind::kImage, std::move(inputs), scope,
         [result = std::move(result), places = std::move(places),
          done = std::move(done)](absl::StatusOr<Embeddings> answer) mutable {
           if (!answer.ok()) return done(answer.status());
           for (size_t i = 0; i < places.size(); ++i) {
             CopyEmbedding(*answer, static_cast<int64_t>(i), places[i],
                           &result);
           }
           done(std::move(result));
         });
}

void Embedder::Submit(std::shared_ptr<const ServedVersion> version,
                      InputKind kind, std::vector<InferenceInput> inputs,
                      const CallScope& scope, EmbeddingsCallback done) {
  Router::Ticket ticket =
      router_.Submit(std::move(version), kind, std::move(inputs), scope.timeout,
                     std::move(done));
  if (scope.cancellation != nullptr) {
    scope.cancellation->Add(
        [this, ticket = std::move(ticket)] { router_.Cancel(ticket); });
  }
}

}  // namespace attune::core
