#ifndef ATTUNE_TESTS_TEST_UTIL_STATUS_MATCHERS_H_
#define ATTUNE_TESTS_TEST_UTIL_STATUS_MATCHERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/error.h"
#include "gmock/gmock.h"

namespace attune::test {

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// A Status or StatusOr that is OK.
MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// A Status or StatusOr with this canonical code and reason.
MATCHER_P2(HasError, code, reason, "") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code && ErrorReason(StatusOf(arg)) == reason;
}

}  // namespace attune::test

#endif  // ATTUNE_TESTS_TEST_UTIL_STATUS_MATCHERS_H_
