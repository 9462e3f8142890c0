// What jobs read: it must be there, and stay what it was when they were made.

#ifndef ATTUNE_SERVER_CORE_JOBS_JOB_INPUTS_H_
#define ATTUNE_SERVER_CORE_JOBS_JOB_INPUTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/state_store.h"

namespace attune::core {

// Digests of the datasets and versions that a spec with pinned selectors
// reads: the dataset, the base or what is evaluated, and where there is one
// the dataset or version beside it. None for a validation. NOT_FOUND; the
// errors of GetSealedDataset.
absl::StatusOr<std::vector<std::string>> ReadInputDigests(
    storage::StateTransaction& transaction, const storage::JobSpec& spec);

// Whether a job's inputs are those that it was made with.
// FAILED_PRECONDITION, reason INPUT_CHANGED: something was deleted and another
// of the same name made; the errors of ReadInputDigests.
absl::Status CheckInputs(storage::StateTransaction& transaction,
                         const storage::Job& job);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_JOBS_JOB_INPUTS_H_
