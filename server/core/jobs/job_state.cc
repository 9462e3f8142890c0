#include "server/core/jobs/job_state.h"

namespace attune::core {

using storage::JobState;

bool CanMove(JobState from, JobState to) {
  switch (from) {
    case JobState::kQueued:
      return to == JobState::kRunning || to == JobState::kPaused ||
             to == JobState::kCancelled;
    case JobState::kRunning:
      return to == JobState::kSucceeded || to == JobState::kFailed ||
             to == JobState::kQueued || to == JobState::kBackoff ||
             to == JobState::kPausing || to == JobState::kCancelling;
    case JobState::kBackoff:
      return to == JobState::kQueued || to == JobState::kPaused ||
             to == JobState::kCancelled;
    case JobState::kPausing:
      // Succeeded: its worker was done before it heard of the pause.
      return to == JobState::kPaused || to == JobState::kSucceeded ||
             to == JobState::kCancelling;
    case JobState::kPaused:
      return to == JobState::kQueued || to == JobState::kCancelled;
    case JobState::kCancelling:
      return to == JobState::kCancelled;
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kCancelled:
      return false;
  }
  return false;
}

bool IsLeased(JobState state) {
  return state == JobState::kRunning || state == JobState::kPausing ||
         state == JobState::kCancelling;
}

absl::string_view JobStateName(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kBackoff:
      return "backoff";
    case JobState::kPausing:
      return "pausing";
    case JobState::kPaused:
      return "paused";
    case JobState::kCancelling:
      return "cancelling";
    case JobState::kSucceeded:
      return "succeeded";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace attune::core
