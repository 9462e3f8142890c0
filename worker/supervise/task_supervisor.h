#ifndef ATTUNE_WORKER_SUPERVISE_TASK_SUPERVISOR_H_
#define ATTUNE_WORKER_SUPERVISE_TASK_SUPERVISOR_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "attune/v1/worker_service.pb.h"
#include "common/clock.h"
#include "worker/supervise/child_process.h"
#include "worker/supervise/heartbeats.h"
#include "worker/supervise/stall_detector.h"
#include "worker/transport/server_connection.h"
#include "worker/transport/stop_signal.h"

namespace attune::supervise {

// Runs tasks, each in a child process, and answers for them: a child that
// dies is reported at once, one whose lease is lost or that hangs is killed,
// and the server's and the operator's wishes are passed on. Not thread-safe.
class TaskSupervisor {
 public:
  struct Options {
    // The child: a path and arguments. It reads the task from kInputFd.
    std::vector<std::string> command;
    // For storing a checkpoint and handing back; then the child is killed and
    // the checkpoint before stands.
    absl::Duration hand_back_limit = absl::Seconds(60);
    absl::Duration cancel_limit = absl::Seconds(10);
    StallDetector::Options stall = {};
  };

  enum class Ending {
    kDone,
    // The child called FailTask.
    kReported,
    kLeaseLost,
    kFenced,
    // The child died, did not stop in time, or did not get on; reported from
    // here.
    kCrashed,
    kOverdue,
    kStalled,
  };

  // `connection` and `heartbeats` must go on working while `drain` is
  // signalled.
  TaskSupervisor(transport::ServerConnection& connection,
                 Heartbeats& heartbeats, const transport::StopSignal& drain,
                 const Clock& clock, Options options);

  // Runs one task to its end. `drain` makes the child hand it back.
  Ending Run(const v1::Task& task);

 private:
  // What was asked of the child, and until when.
  struct Asked {
    bool stop = false;
    bool cancel = false;
    absl::Duration deadline = absl::InfiniteDuration();
  };

  void PassWishes(ChildProcess& child, Asked* asked);
  Ending AwaitEnd(const v1::Task& task, ChildProcess& child);
  Ending ReportEnd(const v1::Task& task, const ChildEnd& end,
                   const Asked& asked);
  void Fail(const v1::Task& task, v1::FailTaskRequest::Kind kind,
            const std::string& reason, const std::string& message);

  transport::ServerConnection& connection_;
  Heartbeats& heartbeats_;
  const transport::StopSignal& drain_;
  const Clock& clock_;
  const Options options_;
};

}  // namespace attune::supervise

#endif  // ATTUNE_WORKER_SUPERVISE_TASK_SUPERVISOR_H_
