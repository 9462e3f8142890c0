#ifndef ATTUNE_TESTS_SERVER_CORE_LEASES_TASK_REPORTS_FIXTURE_H_
#define ATTUNE_TESTS_SERVER_CORE_LEASES_TASK_REPORTS_FIXTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/core/jobs_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {

// Rows of the steps from `first` to `last`.
inline std::vector<storage::MetricRow> Rows(int64_t first, int64_t last) {
  std::vector<storage::MetricRow> rows;
  for (int64_t step = first; step <= last; ++step) {
    storage::MetricRow row;
    row.step = step;
    row.loss = 1.0 / static_cast<double>(step);
    row.pair_accuracy = 0.5;
    rows.push_back(row);
  }
  return rows;
}

// A base, preferences and a worker; tests create the jobs.
class TaskReportsTest : public JobsFixture {
 protected:
  void SetUp() override {
    AddBase();
    MakePreferences();
    AddWorker();
    metrics_ = {};
  }

  TrainResult Outputs() {
    return {{{storage::VersionSource::kAverage, StoreTensors(2)},
             {storage::VersionSource::kLastIterate, StoreTensors(3)}},
            {}};
  }

  void CommitCheckpoints(const LeasedTask& task,
                         const std::vector<int64_t>& steps) {
    for (const int64_t step : steps) {
      ASSERT_THAT(reports_->CommitCheckpoint(
                      task.lease_token, step,
                      StoreTensors(static_cast<float>(step)), "{}"),
                  test::IsOk());
    }
  }

  void HandBack(const LeasedTask& task) {
    ASSERT_THAT(reports_->Fail(task.lease_token, FailureKind::kHandBack, "",
                               "the worker stops"),
                test::IsOk());
  }

  storage::Model ModelNamed(absl::string_view name) {
    storage::Model model;
    EXPECT_THAT(state_->Read([&](storage::StateTransaction& transaction) {
      auto found = transaction.models().Get(name);
      if (found.ok()) model = *found;
      return found.status();
    }),
                test::IsOk());
    return model;
  }

  storage::Version VersionOf(absl::string_view model, int32_t number) {
    storage::Version version;
    EXPECT_THAT(state_->Read([&](storage::StateTransaction& transaction) {
      auto found = transaction.models().GetVersion(model, number);
      if (found.ok()) version = *found;
      return found.status();
    }),
                test::IsOk());
    return version;
  }
};

}  // namespace attune::core

#endif  // ATTUNE_TESTS_SERVER_CORE_LEASES_TASK_REPORTS_FIXTURE_H_
