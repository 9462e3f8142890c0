#include "server/core/jobs/job_state.h"

#include <set>
#include <utility>

#include "gtest/gtest.h"

namespace attune::core {
namespace {

using storage::JobState;
using enum storage::JobState;

constexpr JobState kAll[] = {kQueued,    kRunning, kBackoff,
                             kPausing,   kPaused,  kCancelling,
                             kSucceeded, kFailed,  kCancelled};

TEST(JobStateTest, ExactlyTheMovesOfTheContractAreAllowed) {
  const std::set<std::pair<JobState, JobState>> allowed = {
      {kQueued, kRunning},     {kRunning, kSucceeded},
      {kRunning, kFailed},     {kRunning, kQueued},
      {kRunning, kBackoff},    {kBackoff, kQueued},
      {kRunning, kPausing},    {kPausing, kPaused},
      {kPaused, kQueued},      {kQueued, kPaused},
      {kBackoff, kPaused},     {kRunning, kCancelling},
      {kPausing, kCancelling}, {kCancelling, kCancelled},
      {kPausing, kSucceeded},  {kQueued, kCancelled},
      {kBackoff, kCancelled},  {kPaused, kCancelled}};
  for (const JobState from : kAll) {
    for (const JobState to : kAll) {
      EXPECT_EQ(CanMove(from, to), allowed.count({from, to}) == 1)
          << JobStateName(from) << " to " << JobStateName(to);
    }
  }
}

TEST(JobStateTest, TerminalStatesAreFinal) {
  for (const JobState from : kAll) {
    if (!storage::IsTerminal(from)) continue;
    for (const JobState to : kAll) EXPECT_FALSE(CanMove(from, to));
  }
}

TEST(JobStateTest, AWorkerHoldsJobsThatRunOrAreAskedToStop) {
  for (const JobState state : kAll) {
    EXPECT_EQ(IsLeased(state),
              state == kRunning || state == kPausing || state == kCancelling);
  }
}

}  // namespace
}  // namespace attune::core
