#include "server/core/jobs/job_signals.h"

#include "gtest/gtest.h"

namespace attune::core {
namespace {

using storage::JobState;

TEST(JobSignalsTest, WatchersOfAJobHearOfItsChangesUntilTheyLeave) {
  JobSignals signals(Metrics::None());
  int first = 0;
  int second = 0;
  int other = 0;
  const int64_t watch = signals.Watch("job-1", [&] { ++first; });
  signals.Watch("job-1", [&] { ++second; });
  signals.Watch("job-10", [&] { ++other; });
  signals.Changed("job-1");
  signals.Unwatch(watch);
  signals.Changed("job-1");
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
  EXPECT_EQ(other, 0);
}

TEST(JobSignalsTest, TheQueueListenerHearsOfQueuedJobsOnly) {
  JobSignals signals(Metrics::None());
  int queued = 0;
  signals.SetQueueListener([&] { ++queued; });
  signals.Queued("job-1");
  signals.Moved({{"job-1", JobState::kQueued, JobState::kRunning}});
  signals.Moved({{"job-1", JobState::kRunning, JobState::kQueued},
                 {"job-2", JobState::kRunning, JobState::kQueued}});
  signals.Changed("job-1");
  EXPECT_EQ(queued, 2);
  signals.SetQueueListener(nullptr);
  signals.Queued("job-1");
  EXPECT_EQ(queued, 2);
}

}  // namespace
}  // namespace attune::core
