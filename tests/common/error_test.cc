#include "common/error.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

TEST(Error, CarriesItsReason) {
  const absl::Status status =
      Error(absl::StatusCode::kAborted, "LEASE_LOST", "the lease is gone");
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(status.message(), "the lease is gone");
  EXPECT_EQ(ErrorReason(status), "LEASE_LOST");
}

TEST(Error, AForeignStatusHasNoReasonFieldsOrDelay) {
  const absl::Status status = absl::InternalError("x");
  EXPECT_EQ(ErrorReason(status), "");
  EXPECT_TRUE(ErrorFields(status).empty());
  EXPECT_FALSE(ErrorRetryDelay(status).has_value());
}

TEST(Error, FieldsComeBackInOrder) {
  const std::vector<FieldViolation> fields = {{"a.b[0]", "is, odd"},
                                              {"c", "is missing"}};
  const absl::Status status = InvalidFields("BAD", fields);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "a.b[0]: is, odd (and 1 more)");
  EXPECT_EQ(ErrorFields(status), fields);
}

TEST(Error, ReasonAndFieldsCanBeAddedToAForeignStatus) {
  const std::vector<FieldViolation> fields = {{"a", "is wrong"}};
  const absl::Status status = WithErrorFields(
      WithReason(absl::InvalidArgumentError("as it was"), "BAD"), fields);
  EXPECT_EQ(status.message(), "as it was");
  EXPECT_EQ(ErrorReason(status), "BAD");
  EXPECT_EQ(ErrorFields(status), fields);
  EXPECT_TRUE(ErrorFields(WithErrorFields(status, {})) == fields);
}

TEST(Error, TheRetryDelayComesBack) {
  const absl::Status status =
      WithRetryDelay(Error(absl::StatusCode::kUnavailable, "DRAINING", "bye"),
                     absl::Milliseconds(1500));
  EXPECT_EQ(ErrorRetryDelay(status), absl::Milliseconds(1500));
  EXPECT_EQ(ErrorReason(status), "DRAINING");
}

}  // namespace
}  // namespace attune
