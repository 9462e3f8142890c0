#ifndef ATTUNE_WORKER_SUPERVISE_STALL_DETECTOR_H_
#define ATTUNE_WORKER_SUPERVISE_STALL_DETECTOR_H_

#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "worker/supervise/child_protocol.h"

namespace attune::supervise {

// Finds out a task that lives but does not get on, such as one whose device
// hangs. A child reports a step, or a piece of other work (a picture decoded, a
// chunk of a blob moved), only when it is done, so every report counts. Not
// thread-safe.
class StallDetector {
 public:
  struct Options {
    absl::Duration shortest = absl::Seconds(300);
    // Of the median step so far.
    int steps = 20;
  };

  // Times are monotonic.
  StallDetector(const Options& options, absl::Duration now)
      : options_(options), reported_(now), step_began_(now) {}

  // The child has reported.
  void Progressed(const Progress& progress, absl::Duration now);

  // How long a child may say nothing: the shortest time or so many median
  // steps, whichever is longer.
  absl::Duration Limit() const;
  bool Stalled(absl::Duration now) const { return now - reported_ >= Limit(); }

 private:
  const Options options_;
  absl::Duration reported_;
  // Of the last steps, oldest first.
  std::deque<absl::Duration> durations_;
  int64_t step_ = -1;  // the last one reported; none yet
  absl::Duration step_began_;
};

}  // namespace attune::supervise

#endif  // ATTUNE_WORKER_SUPERVISE_STALL_DETECTOR_H_
