// Errors that a client can act on: a canonical code, a reason for programs
// and a message for people. The reason and the fields travel as payloads of
// absl::Status, and common/grpc turns them into google.rpc.ErrorInfo,
// BadRequest and RetryInfo.

#ifndef ATTUNE_COMMON_ERROR_H_
#define ATTUNE_COMMON_ERROR_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace attune {

// One request field that is wrong, and why; `field` is the path in the proto
// message, such as "train.optimizer.learning_rate" or "examples[3].preferred".
struct FieldViolation {
  std::string field;
  std::string description;

  friend bool operator==(const FieldViolation&,
                         const FieldViolation&) = default;
};

// An error with a reason in UPPER_SNAKE, such as "DATASET_NOT_SEALED".
absl::Status Error(absl::StatusCode code, absl::string_view reason,
                   absl::string_view message);

// INVALID_ARGUMENT, reason "INVALID_FIELD", naming one field.
absl::Status InvalidField(absl::string_view field, absl::string_view message);

// INVALID_ARGUMENT naming several fields; the message lists the first.
// REQUIRES: !violations.empty().
absl::Status InvalidFields(absl::string_view reason,
                           const std::vector<FieldViolation>& violations);

// NOT_FOUND, reason "NOT_FOUND": `what` is "job", "dataset" …
absl::Status NotFound(absl::string_view what, absl::string_view name);

// The same error with a reason.
absl::Status WithReason(absl::Status status, absl::string_view reason);

// The same error naming these fields; without any, the same error.
absl::Status WithErrorFields(absl::Status status,
                             const std::vector<FieldViolation>& violations);

// The same error with a delay after which trying again makes sense.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);

// What an error carries; "" and empty when it carries none.
std::string ErrorReason(const absl::Status& status);
std::vector<FieldViolation> ErrorFields(const absl::Status& status);
std::optional<absl::Duration> ErrorRetryDelay(const absl::Status& status);

}  // namespace attune

#endif  // ATTUNE_COMMON_ERROR_H_
