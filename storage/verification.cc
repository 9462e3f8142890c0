#include "storage/verification.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::storage {
namespace {

constexpr int kBatch = 1'000;

}  // namespace

absl::Status ForEachReferencedBlob(
    StateStore& state,
    absl::FunctionRef<absl::Status(absl::Span<const std::string>)> visit) {
  std::string last;
  while (true) {
    std::vector<std::string> digests;
    ATTUNE_RETURN_IF_ERROR(
        state.Read([&](StateTransaction& transaction) -> absl::Status {
          ATTUNE_ASSIGN_OR_RETURN(
              digests, transaction.ListReferencedBlobs(last, kBatch));
          return absl::OkStatus();
        }));
    if (digests.empty()) return absl::OkStatus();
    last = digests.back();
    ATTUNE_RETURN_IF_ERROR(visit(digests));
  }
}

absl::StatusOr<BlobTotals> VerifyBlobs(StateStore& state,
                                       const BlobStore& blobs) {
  BlobTotals totals;
  int64_t bad = 0;
  std::string first_reason;
  std::string first;
  const auto verify = [&](const std::string& digest) -> absl::Status {
    absl::Status status = blobs.Read(digest, [&](absl::string_view piece) {
      totals.bytes += static_cast<int64_t>(piece.size());
      return absl::OkStatus();
    });
    if (status.ok()) {
      ++totals.count;
      return status;
    }
    if (!absl::IsNotFound(status) && !absl::IsDataLoss(status)) return status;
    if (bad++ == 0) {
      first = digest;
      first_reason = absl::IsNotFound(status) ? "BLOB_MISSING" : "BLOB_DAMAGED";
    }
    return absl::OkStatus();
  };
  ATTUNE_RETURN_IF_ERROR(ForEachReferencedBlob(
      state, [&](absl::Span<const std::string> digests) -> absl::Status {
        for (const std::string& digest : digests) {
          ATTUNE_RETURN_IF_ERROR(verify(digest));
        }
        return absl::OkStatus();
      }));
  if (bad == 0) return totals;
  return Error(absl::StatusCode::kDataLoss, first_reason,
               absl::StrCat(bad,
                            " blobs that datasets, models or checkpoints name "
                            "are missing or damaged, the first is ",
                            first, ": restore the data folder's backup"));
}

}  // namespace attune::storage
