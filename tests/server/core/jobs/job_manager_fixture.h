#ifndef ATTUNE_TESTS_SERVER_CORE_JOBS_JOB_MANAGER_FIXTURE_H_
#define ATTUNE_TESTS_SERVER_CORE_JOBS_JOB_MANAGER_FIXTURE_H_

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/server/core/jobs_fixture.h"

namespace attune::core {

// More tokens than the test model's context.
inline constexpr char kLongText[] =
    "one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen";

class JobManagerTest : public JobsFixture {
 protected:
  // The error of a job that must be refused without a trace.
  absl::Status Refused(const TrainRequest& request) {
    const std::string before = Everything();
    const absl::Status status = jobs_->CreateTrain(request, {}).status();
    EXPECT_EQ(Everything(), before);
    return status;
  }
};

}  // namespace attune::core

#endif  // ATTUNE_TESTS_SERVER_CORE_JOBS_JOB_MANAGER_FIXTURE_H_
