#include "common/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace attune {
namespace {

constexpr absl::string_view kReasonUrl = "attune/reason";
constexpr absl::string_view kFieldsUrl = "attune/fields";
constexpr absl::string_view kRetryUrl = "attune/retry_milliseconds";

// Field paths and descriptions are printable text, so the ASCII separators
// for units and records cannot occur in them.
constexpr char kUnitSeparator = '\x1f';
constexpr char kRecordSeparator = '\x1e';

}  // namespace

absl::Status Error(absl::StatusCode code, absl::string_view reason,
                   absl::string_view message) {
  return WithReason(absl::Status(code, message), reason);
}

absl::Status WithReason(absl::Status status, absl::string_view reason) {
  status.SetPayload(kReasonUrl, absl::Cord(reason));
  return status;
}

absl::Status InvalidField(absl::string_view field, absl::string_view message) {
  return InvalidFields("INVALID_FIELD",
                       {{std::string(field), std::string(message)}});
}

absl::Status InvalidFields(absl::string_view reason,
                           const std::vector<FieldViolation>& violations) {
  const FieldViolation& first = violations.front();
  std::string message = absl::StrCat(first.field, ": ", first.description);
  if (violations.size() > 1) {
    absl::StrAppend(&message, " (and ", violations.size() - 1, " more)");
  }
  return WithErrorFields(
      Error(absl::StatusCode::kInvalidArgument, reason, message), violations);
}

absl::Status WithErrorFields(absl::Status status,
                             const std::vector<FieldViolation>& violations) {
  if (violations.empty()) return status;
  status.SetPayload(kFieldsUrl,
                    absl::Cord(absl::StrJoin(
                        violations, std::string(1, kRecordSeparator),
                        [](std::string* out, const FieldViolation& violation) {
                          absl::StrAppend(out, violation.field,
                                          std::string(1, kUnitSeparator),
                                          violation.description);
                        })));
  return status;
}

absl::Status NotFound(absl::string_view what, absl::string_view name) {
  return Error(absl::StatusCode::kNotFound, "NOT_FOUND",
               absl::StrCat("there is no ", what, " '", name, "'"));
}

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  status.SetPayload(kRetryUrl,
                    absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(delay))));
  return status;
}

std::string ErrorReason(const absl::Status& status) {
  auto payload = status.GetPayload(kReasonUrl);
  return payload ? std::string(*payload) : "";
}

std::vector<FieldViolation> ErrorFields(const absl::Status& status) {
  auto payload = status.GetPayload(kFieldsUrl);
  std::vector<FieldViolation> violations;
  if (!payload) return violations;
  const std::string text(*payload);
  for (absl::string_view record : absl::StrSplit(text, kRecordSeparator)) {
    std::pair<std::string, std::string> parts =
        absl::StrSplit(record, absl::MaxSplits(kUnitSeparator, 1));
    violations.push_back({std::move(parts.first), std::move(parts.second)});
  }
  return violations;
}

std::optional<absl::Duration> ErrorRetryDelay(const absl::Status& status) {
  auto payload = status.GetPayload(kRetryUrl);
  int64_t milliseconds = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &milliseconds)) {
    return std::nullopt;
  }
  return absl::Milliseconds(milliseconds);
}

}  // namespace attune
