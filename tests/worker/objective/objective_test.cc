#include "worker/objective/objective.h"

#include "common/error.h"
#include "gtest/gtest.h"

namespace attune::objective {
namespace {

TEST(MakeObjective, UnknownNameIsInvalidArgument) {
  const absl::Status status = MakeObjective("ppo", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "UNKNOWN_OBJECTIVE");
}

TEST(MakeObjective, OptionWithoutAValueIsInvalidArgument) {
  const absl::Status status = MakeObjective("dpo", {{"beta", 1}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "MISSING_OPTION");
}

}  // namespace
}  // namespace attune::objective
