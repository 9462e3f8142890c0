#ifndef ATTUNE_WORKER_SUPERVISE_HEARTBEATS_H_
#define ATTUNE_WORKER_SUPERVISE_HEARTBEATS_H_

#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "attune/v1/worker_service.pb.h"
#include "common/clock.h"
#include "common/timed_mutex.h"
#include "worker/supervise/child_protocol.h"
#include "worker/transport/server_connection.h"
#include "worker/transport/stop_signal.h"

namespace attune::supervise {

// Says to the server, at a steady interval from a thread of its own, that the
// worker lives and holds its lease, and keeps what the server answers. It
// touches neither device nor disk, so that a busy worker is not a dead one.
// Thread-safe.
class Heartbeats {
 public:
  enum class LeaseState {
    kHeld,
    // The server said that the lease is somebody else's.
    kLost,
    // No good answer for so long that the lease may soon be given away: the
    // task must end before that.
    kFenced,
  };

  struct Options {
    // Sent again when the server does not know the worker, as after its
    // restart.
    v1::RegisterRequest registration;
    absl::Duration interval = absl::Seconds(5);
    // From the moment when the last good heartbeat was sent.
    absl::Duration fence_after = absl::Seconds(20);
  };

  Heartbeats(transport::ServerConnection& connection, const Clock& clock,
             Options options);
  // Ends the thread, after the call that it is in.
  ~Heartbeats();
  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;

  // Begins to beat every interval, with or without a lease. Call once.
  void Start();

  // A lease that the server has just given. The next heartbeat is sent soon.
  void Take(const std::string& lease_token);
  // Not held any more.
  void Drop();

  void SetProgress(const Progress& progress);

  LeaseState lease_state() const;
  // What the last answer for this lease asked for.
  v1::HeartbeatResponse::Wish wish() const;

  // One heartbeat now, in the calling thread.
  void Beat();

 private:
  void Run();

  transport::ServerConnection& connection_;
  const Clock& clock_;
  const Options options_;
  mutable TimedMutex mutex_;
  std::string lease_token_ ABSL_GUARDED_BY(mutex_);
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  // When the last heartbeat that got a good answer was sent, or the lease
  // came; monotonic.
  absl::Duration last_good_ ABSL_GUARDED_BY(mutex_);
  v1::HeartbeatResponse::Wish wish_ ABSL_GUARDED_BY(mutex_) =
      v1::HeartbeatResponse::WISH_CONTINUE;
  bool taken_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace attune::supervise

#endif  // ATTUNE_WORKER_SUPERVISE_HEARTBEATS_H_
