#ifndef ATTUNE_SERVER_CORE_LEASES_LEASE_TABLE_H_
#define ATTUNE_SERVER_CORE_LEASES_LEASE_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace attune::core {

// Times of leases and of failures.
struct LeaseOptions {
  absl::Duration duration = absl::Seconds(30);
  absl::Duration heartbeat_interval = absl::Seconds(5);
  // A worker stops its task by itself so long after it has sent its last
  // answered heartbeat; unset: two thirds of `duration`.
  std::optional<absl::Duration> fence_after;
  // The failure that ends a job.
  int max_failures = 5;
  // Wait after the second failure, doubled by each further one; the first is
  // tried again at once.
  absl::Duration first_delay = absl::Seconds(10);
  absl::Duration max_delay = absl::Seconds(600);

  // INVALID_ARGUMENT, saying which flag to change, when a lease is shorter than
  // four heartbeats (a busy worker would be taken for dead), when a worker
  // would fence itself before two heartbeats or less than one before its lease
  // ends (two would work on the task), or when failures or delays make no
  // sense.
  absl::Status Validate() const;

  absl::Duration FenceAfter() const {
    return fence_after.value_or(duration * 2 / 3);
  }

  // The wait after a job's so many failures, shortened by up to a quarter:
  // jobs that failed together are not all tried again together. The same for
  // the same job and number. REQUIRES: failures > 0.
  absl::Duration DelayAfter(int failures, absl::string_view job_id) const;
};

// What a heartbeat answers; the stronger wish is the greater one.
enum class Wish { kContinue = 1, kPause = 2, kCancel = 3 };

struct Lease {
  std::string job_id;
  int32_t attempt = 0;
  std::string token_hash;
  std::string worker_id;
  std::string task_name;  // for people
  Wish wish = Wish::kContinue;
  int64_t step = 0;
  int64_t total_steps = 0;
  absl::Duration deadline;  // monotonic; given by the table
};

// ABORTED, reason LEASE_LOST: the job is another worker's, or nobody's.
absl::Status LeaseLost(absl::string_view job_id);

// A lease's secret: the job's id, the attempt and 128 random bits.
std::string NewLeaseToken(absl::string_view job_id, int32_t attempt);

// The job that a token names; "" when it is no token. What it says is not
// trusted before the hash has been compared.
absl::string_view JobOfToken(absl::string_view token);

// The live leases, on the monotonic clock. The database holds who owns a job
// and by which attempt; this holds until when. Thread-safe; never blocks.
class LeaseTable {
 public:
  // `clock` outlives the table.
  LeaseTable(const Clock& clock, absl::Duration duration)
      : clock_(clock), duration_(duration) {}

  // Adds a lease, or gives it one fresh term.
  void Grant(Lease lease);

  // Extends the lease of a token and keeps the progress. Returns what the
  // server wants; LeaseLost.
  absl::StatusOr<Wish> Renew(absl::string_view token, int64_t step,
                             int64_t total_steps);

  // The lease of a token. LeaseLost.
  absl::StatusOr<Lease> Find(absl::string_view token) const;
  // The lease that a worker holds, and the lease of a job.
  std::optional<Lease> HeldBy(absl::string_view worker_id) const;
  std::optional<Lease> OfJob(absl::string_view job_id) const;

  // Asks the holder of an attempt's lease to stop; nothing when that is over.
  // Wishes are set after the commits that they follow, in any order: a
  // cancellation is never weakened to a pause, and no wish is taken back, for
  // no attempt that stops goes on.
  void AskToStop(absl::string_view job_id, int32_t attempt, Wish wish);
  void SetProgress(absl::string_view job_id, int64_t step, int64_t total_steps);
  void Remove(absl::string_view job_id, int32_t attempt);

  // Removes and returns the leases whose term is over.
  std::vector<Lease> TakeExpired();

  // Remembers that a job waits in BACKOFF for so long; those for which that
  // time is over are removed and returned.
  void StartBackoff(absl::string_view job_id, absl::Duration delay);
  std::vector<std::string> TakeEndedBackoffs();

 private:
  const Clock& clock_;
  const absl::Duration duration_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Lease, std::less<>> leases_ ABSL_GUARDED_BY(mutex_);
  // When a delay is over, on the monotonic clock.
  std::map<std::string, absl::Duration> backoffs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_LEASES_LEASE_TABLE_H_
