#include "server/core/idempotency.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/status_macros.h"

namespace attune::core {

absl::Status ValidateRequestId(absl::string_view id) {
  if (id.empty() || IsUuid(id)) return absl::OkStatus();
  return InvalidFields(
      "INVALID_REQUEST_ID",
      {{"request_id",
        "must be a UUID, such as 123e4567-e89b-42d3-a456-426614174000"}});
}

absl::StatusOr<std::optional<std::string>> FindApplied(
    storage::StateTransaction& transaction, const RequestKey& key) {
  ATTUNE_RETURN_IF_ERROR(ValidateRequestId(key.id));
  if (key.id.empty()) return std::nullopt;
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<storage::RequestRecord> found,
                          transaction.requests().Find(key.id));
  if (!found.has_value()) return std::nullopt;
  if (found->digest == key.digest) return found->result;
  return Error(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
               absl::StrCat("request_id ", key.id,
                            " came with another request before: use a new "
                            "one for a new request"));
}

absl::StatusOr<std::string> ApplyOnce(
    storage::StateTransaction& transaction, const RequestKey& key,
    absl::Time now, absl::FunctionRef<absl::StatusOr<std::string>()> effect) {
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<std::string> applied,
                          FindApplied(transaction, key));
  if (applied.has_value()) return *applied;
  ATTUNE_ASSIGN_OR_RETURN(std::string result, effect());
  if (!key.id.empty()) {
    ATTUNE_RETURN_IF_ERROR(
        transaction.requests().Insert({key.id, key.digest, result, now}));
  }
  return result;
}

}  // namespace attune::core
