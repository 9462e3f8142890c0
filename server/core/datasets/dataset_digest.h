#ifndef ATTUNE_SERVER_CORE_DATASETS_DATASET_DIGEST_H_
#define ATTUNE_SERVER_CORE_DATASETS_DATASET_DIGEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/state_store.h"

namespace attune::core {

// SHA-256 over kind, texts, attributes and image digests of a row; its id and
// sizes do not count.
std::string ExampleDigest(const storage::Example& example);

// The identity of a dataset: SHA-256 over the sorted digests of its rows and
// candidates, so that the order of upload does not matter. Reads every row.
absl::StatusOr<std::string> DatasetDigest(
    storage::StateTransaction& transaction, const storage::Dataset& dataset);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_DATASETS_DATASET_DIGEST_H_
