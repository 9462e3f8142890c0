#include "server/core/datasets/dataset_checks.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "common/text/tokenizer.h"
#include "server/core/datasets/evaluation_checks.h"
#include "server/core/jobs/train_spec.h"

namespace attune::core {
namespace {

using storage::Dataset;
using storage::Example;
using storage::ExampleKind;
using storage::StateTransaction;

constexpr int kPageSize = 1'000;

absl::Status Lacks(absl::string_view reason, const Dataset& dataset,
                   absl::string_view what) {
  return Error(absl::StatusCode::kFailedPrecondition, reason,
               absl::StrCat("dataset '", dataset.name, "' has no ", what));
}

// Whether a text fits into the context. Tokens of ASCII text have at least a
// byte each, so most texts need no tokenizer.
bool Fits(absl::string_view text, int context_length) {
  if (static_cast<int>(text.size()) + 2 <= context_length &&
      std::all_of(text.begin(), text.end(), absl::ascii_isascii)) {
    return true;
  }
  return text::Tokenizer::Clip()
      .EncodeForContext(text, context_length, /*truncate=*/false)
      .ok();
}

absl::Status TextTooLong(absl::string_view field, const Dataset& dataset,
                         absl::string_view where, int context_length) {
  return InvalidFields(
      "TEXT_TOO_LONG",
      {{std::string(field),
        absl::StrCat(where, " of dataset '", dataset.name, "' has more than ",
                     context_length,
                     " tokens, the model's context: set truncate to cut it")}});
}

absl::Status CheckExample(const Example& example, absl::string_view field,
                          const Dataset& dataset, int context_length) {
  if (Fits(example.text, context_length) &&
      (example.other_text.empty() ||
       Fits(example.other_text, context_length))) {
    return absl::OkStatus();
  }
  return TextTooLong(field, dataset,
                     absl::StrCat("a text of example ", example.id),
                     context_length);
}

}  // namespace

absl::Status ForEachExample(
    StateTransaction& transaction, const Dataset& dataset,
    absl::FunctionRef<absl::Status(const Example&)> visit) {
  int64_t after = 0;
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(
        const std::vector<Example> page,
        transaction.datasets().ListExamples(dataset.name, after, kPageSize));
    if (page.empty()) return absl::OkStatus();
    for (const Example& example : page) ATTUNE_RETURN_IF_ERROR(visit(example));
    after = page.back().id;
  }
}

absl::StatusOr<Dataset> GetSealedDataset(StateTransaction& transaction,
                                         absl::string_view name) {
  ATTUNE_ASSIGN_OR_RETURN(Dataset dataset, transaction.datasets().Get(name));
  if (dataset.counts.total() == 0) {
    return Lacks("EMPTY_DATASET", dataset, "examples: upload some and seal it");
  }
  if (dataset.state != storage::DatasetState::kSealed) {
    return Error(absl::StatusCode::kFailedPrecondition, "DATASET_NOT_SEALED",
                 absl::StrCat("dataset '", name,
                              "' is not sealed: seal it and wait for its "
                              "validation"));
  }
  return dataset;
}

absl::Status CheckTrainingData(StateTransaction& transaction,
                               const Dataset& dataset,
                               const ObjectiveSchema& objective,
                               const storage::TrainSpec& spec,
                               int context_length) {
  const bool pairs = objective.stream == ObjectiveSchema::Stream::kPairs;
  if (pairs && dataset.counts.pair == 0) {
    return Lacks("NO_PAIR_EXAMPLES", dataset,
                 absl::StrCat("pairs, which ", objective.title, " needs"));
  }
  if (!pairs && dataset.counts.caption == 0) {
    return Lacks("NO_CAPTION_EXAMPLES", dataset,
                 absl::StrCat("captions, which ", objective.title, " needs"));
  }
  const bool with_kl = KlWeight(spec.objective) > 0;
  const bool needs_clean = with_kl || objective.needs_clean_examples;
  bool has_clean = dataset.counts.clean > 0;
  const ExampleKind used = pairs ? ExampleKind::kPair : ExampleKind::kCaption;
  if (!spec.truncate || (needs_clean && !has_clean)) {
    ATTUNE_RETURN_IF_ERROR(ForEachExample(
        transaction, dataset, [&](const Example& example) -> absl::Status {
          has_clean |= !example.clean_image_digest.empty();
          if (spec.truncate || example.kind != used) return absl::OkStatus();
          return CheckExample(example, "train.dataset", dataset,
                              context_length);
        }));
  }
  if (needs_clean && !has_clean) {
    return Lacks("NO_CLEAN_EXAMPLES", dataset,
                 objective.needs_clean_examples
                     ? absl::StrCat("clean images, which ", objective.title,
                                    " needs: add some")
                     : "clean images, which a KL weight above 0 needs: add "
                       "some, or set kl_weight to 0");
  }
  if (spec.clean_batch_size.has_value() && dataset.counts.clean == 0) {
    return Lacks("NO_CLEAN_EXAMPLES", dataset,
                 "clean examples for clean_batch_size: its clean images are "
                 "twins, which come with their pairs; leave it unset");
  }
  if (!needs_clean && !objective.over_candidates) return absl::OkStatus();
  if (dataset.candidates.size() > kMaxTrainCandidates) {
    return Error(absl::StatusCode::kFailedPrecondition, "TOO_MANY_CANDIDATES",
                 absl::StrCat("dataset '", dataset.name, "' has ",
                              dataset.candidates.size(), " candidates, and ",
                              with_kl ? "a KL weight above 0" : objective.title,
                              " takes at most ", kMaxTrainCandidates,
                              ": name fewer when the dataset is made"));
  }
  if (spec.truncate) return absl::OkStatus();
  for (const std::string& candidate : dataset.candidates) {
    if (!Fits(candidate, context_length)) {
      return TextTooLong("train.dataset", dataset,
                         absl::StrCat("candidate '", candidate, "'"),
                         context_length);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEvaluationData(StateTransaction& transaction,
                                 absl::string_view field,
                                 const Dataset& dataset,
                                 const storage::EvaluateSpec& spec,
                                 int context_length) {
  ATTUNE_RETURN_IF_ERROR(CheckClassCount(dataset));
  ATTUNE_RETURN_IF_ERROR(CheckGroups(transaction, dataset, spec));
  if (spec.truncate) return absl::OkStatus();
  std::vector<std::string> templates = spec.templates;
  if (templates.empty()) templates.push_back("{}");
  for (const std::string& text : templates) {
    for (const std::string& candidate : dataset.candidates) {
      if (Fits(absl::StrReplaceAll(text, {{"{}", candidate}}),
               context_length)) {
        continue;
      }
      return TextTooLong(
          field, dataset,
          absl::StrCat("candidate '", candidate, "' in template '", text, "'"),
          context_length);
    }
  }
  if (dataset.counts.caption == 0) return absl::OkStatus();
  return ForEachExample(
      transaction, dataset, [&](const Example& example) -> absl::Status {
        if (example.kind != ExampleKind::kCaption) return absl::OkStatus();
        return CheckExample(example, field, dataset, context_length);
      });
}

}  // namespace attune::core
