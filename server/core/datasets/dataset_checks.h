// Whether a dataset has what a job needs.

#ifndef ATTUNE_SERVER_CORE_DATASETS_DATASET_CHECKS_H_
#define ATTUNE_SERVER_CORE_DATASETS_DATASET_CHECKS_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/objective_schema.h"
#include "storage/state_store.h"

namespace attune::core {

// A dataset that jobs may use. NOT_FOUND; FAILED_PRECONDITION, reason
// DATASET_NOT_SEALED or EMPTY_DATASET.
absl::StatusOr<storage::Dataset> GetSealedDataset(
    storage::StateTransaction& transaction, absl::string_view name);

// Calls `visit` with every row, in order, until an error.
absl::Status ForEachExample(
    storage::StateTransaction& transaction, const storage::Dataset& dataset,
    absl::FunctionRef<absl::Status(const storage::Example&)> visit);

// Texts that a softmax may be over.
inline constexpr size_t kMaxTrainCandidates = 1'000;

// FAILED_PRECONDITION, reason NO_PAIR_EXAMPLES or NO_CAPTION_EXAMPLES (the
// objective's stream is empty), NO_CLEAN_EXAMPLES (λ > 0, or KTO, and neither
// clean examples nor clean twins of pairs, or a clean_batch_size without clean
// examples) or TOO_MANY_CANDIDATES (over
// kMaxTrainCandidates where the loss is over all of them); INVALID_ARGUMENT,
// reason TEXT_TOO_LONG, naming the example whose text is longer than the
// context, unless spec.truncate. Reads every row.
absl::Status CheckTrainingData(storage::StateTransaction& transaction,
                               const storage::Dataset& dataset,
                               const ObjectiveSchema& objective,
                               const storage::TrainSpec& spec,
                               int context_length);

// The errors of CheckClassCount and CheckGroups; TEXT_TOO_LONG as above, for
// candidates in every template and for captions, unless spec.truncate. `field`
// names the dataset in the request.
absl::Status CheckEvaluationData(storage::StateTransaction& transaction,
                                 absl::string_view field,
                                 const storage::Dataset& dataset,
                                 const storage::EvaluateSpec& spec,
                                 int context_length);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_DATASETS_DATASET_CHECKS_H_
