// Whether a dataset can be evaluated as a job asks.

#ifndef ATTUNE_SERVER_CORE_DATASETS_EVALUATION_CHECKS_H_
#define ATTUNE_SERVER_CORE_DATASETS_EVALUATION_CHECKS_H_

#include "absl/status/status.h"
#include "storage/state_store.h"

namespace attune::core {

// FAILED_PRECONDITION, reason SINGLE_CANDIDATE, when labelled examples have but
// one text to choose from.
absl::Status CheckClassCount(const storage::Dataset& dataset);

// That every attribute of spec.group_by makes groups: INVALID_ARGUMENT naming
// the attribute that no example has; FAILED_PRECONDITION, reason
// GROUP_TOO_SMALL naming the group of fewer than 2 examples, SINGLE_GROUP or
// TOO_MANY_GROUPS. Reads every row.
absl::Status CheckGroups(storage::StateTransaction& transaction,
                         const storage::Dataset& dataset,
                         const storage::EvaluateSpec& spec);

// That the dataset has rows for every figure that the guard names:
// FAILED_PRECONDITION, reason FIGURE_WITHOUT_ROWS, naming its field. Fills in
// best_by. Reads every row.
absl::Status ResolveGuard(storage::StateTransaction& transaction,
                          const storage::Dataset& dataset,
                          storage::GuardOptions& guard);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_DATASETS_EVALUATION_CHECKS_H_
