#ifndef ATTUNE_STORAGE_VERIFICATION_H_
#define ATTUNE_STORAGE_VERIFICATION_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::storage {

struct BlobTotals {
  int64_t count = 0;
  int64_t bytes = 0;
};

// Calls `visit` with every digest that the state names, in batches; stops at
// its first error.
absl::Status ForEachReferencedBlob(
    StateStore& state,
    absl::FunctionRef<absl::Status(absl::Span<const std::string>)> visit);

// Reads every blob that the state names. DATA_LOSS: reason BLOB_MISSING or
// BLOB_DAMAGED, naming the first and how many are missing or damaged.
absl::StatusOr<BlobTotals> VerifyBlobs(StateStore& state,
                                       const BlobStore& blobs);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_VERIFICATION_H_
