#ifndef ATTUNE_STORAGE_SQLITE_PUT_CLOCK_H_
#define ATTUNE_STORAGE_SQLITE_PUT_CLOCK_H_

#include "absl/time/time.h"
#include "common/clock.h"

namespace attune::storage {

// The time that blobs are put at, which only grows: it begins where the blobs
// of the run before end and goes on with the monotonic clock. Wall time that is
// set, between runs too, makes no young blob old. Thread-safe.
class PutClock {
 public:
  // `start`: the latest time that a blob was put at. `clock` outlives this.
  PutClock(const Clock& clock, absl::Time start)
      : clock_(clock), start_(start), opened_(clock.MonotonicNow()) {}

  absl::Time Now() const { return start_ + (clock_.MonotonicNow() - opened_); }

 private:
  const Clock& clock_;
  const absl::Time start_;
  const absl::Duration opened_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_PUT_CLOCK_H_
