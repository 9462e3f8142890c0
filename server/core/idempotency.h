// Mutating calls carry a request_id: a repeated call has no second effect and
// gets the first answer.

#ifndef ATTUNE_SERVER_CORE_IDEMPOTENCY_H_
#define ATTUNE_SERVER_CORE_IDEMPOTENCY_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/state_store.h"

namespace attune::core {

// How long a request_id is remembered.
inline constexpr absl::Duration kRequestLifetime = absl::Hours(24);

// What makes two calls the same call.
struct RequestKey {
  // The caller's UUID; "" for a call that does not ask for idempotency.
  std::string id;
  // Over the call's name and everything in the request.
  std::string digest;
};

// INVALID_ARGUMENT, reason INVALID_REQUEST_ID, unless `id` is "" or a UUID.
absl::Status ValidateRequestId(absl::string_view id);

// What the effect of this request returned when it was applied; nothing for a
// new request. The errors of ApplyOnce but those of an effect.
absl::StatusOr<std::optional<std::string>> FindApplied(
    storage::StateTransaction& transaction, const RequestKey& key);

// What `effect` returned when this request was first applied: the key of what
// it made, such as a job's id, from which the answer is read again. Runs
// `effect` within `transaction` when the request is new, and records it there,
// so that effect and record commit together. ALREADY_EXISTS, reason
// REQUEST_ID_REUSED, when the id came with another digest; the errors of
// ValidateRequestId and of `effect`.
absl::StatusOr<std::string> ApplyOnce(
    storage::StateTransaction& transaction, const RequestKey& key,
    absl::Time now, absl::FunctionRef<absl::StatusOr<std::string>()> effect);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_IDEMPOTENCY_H_
