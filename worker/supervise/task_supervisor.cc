#include "worker/supervise/task_supervisor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/transport/retry.h"

namespace attune::supervise {
namespace {

// How often wishes, the fence and the child's end are looked at while the
// child says nothing. Its end closes the progress pipe, which wakes us.
constexpr absl::Duration kTick = absl::Milliseconds(100);
// After that the lease has expired anyway.
constexpr absl::Duration kReportLimit = absl::Seconds(30);

}  // namespace

TaskSupervisor::TaskSupervisor(transport::ServerConnection& connection,
                               Heartbeats& heartbeats,
                               const transport::StopSignal& drain,
                               const Clock& clock, Options options)
    : connection_(connection),
      heartbeats_(heartbeats),
      drain_(drain),
      clock_(clock),
      options_(std::move(options)) {}

TaskSupervisor::Ending TaskSupervisor::Run(const v1::Task& task) {
  heartbeats_.Take(task.lease_token());
  absl::StatusOr<ChildProcess> child =
      ChildProcess::Start(options_.command, task.SerializeAsString());
  Ending ending = Ending::kCrashed;
  if (child.ok()) {
    spdlog::info("{}, attempt {}: running in process {}", task.id(),
                 task.attempt(), child->pid());
    ending = AwaitEnd(task, *child);
  } else {
    Fail(task, v1::FailTaskRequest::KIND_RETRYABLE, "WORKER_CRASHED",
         std::string(child.status().message()));
  }
  heartbeats_.Drop();
  return ending;
}

void TaskSupervisor::PassWishes(ChildProcess& child, Asked* asked) {
  const v1::HeartbeatResponse::Wish wish = heartbeats_.wish();
  if (wish == v1::HeartbeatResponse::WISH_CANCEL && !asked->cancel) {
    child.Send(Order::kCancel);
    asked->cancel = true;
    asked->deadline = std::min(asked->deadline,
                               clock_.MonotonicNow() + options_.cancel_limit);
  }
  const bool stop =
      wish == v1::HeartbeatResponse::WISH_PAUSE || drain_.stopped();
  if (stop && !asked->stop) {
    child.Send(Order::kHandBack);
    asked->stop = true;
    asked->deadline = std::min(
        asked->deadline, clock_.MonotonicNow() + options_.hand_back_limit);
  }
}

TaskSupervisor::Ending TaskSupervisor::AwaitEnd(const v1::Task& task,
                                                ChildProcess& child) {
  Asked asked;
  StallDetector stall(options_.stall, clock_.MonotonicNow());
  while (true) {
    if (const std::optional<Progress> progress = child.AwaitProgress(kTick)) {
      heartbeats_.SetProgress(*progress);
      stall.Progressed(*progress, clock_.MonotonicNow());
    }
    if (const std::optional<ChildEnd> end = child.Poll()) {
      return ReportEnd(task, *end, asked);
    }
    switch (heartbeats_.lease_state()) {
      case Heartbeats::LeaseState::kHeld:
        break;
      case Heartbeats::LeaseState::kLost:
        spdlog::warn("{}: the lease is lost, stopping", task.id());
        child.Kill();
        return Ending::kLeaseLost;
      case Heartbeats::LeaseState::kFenced:
        spdlog::warn(
            "{}: the server has not answered for too long, stopping "
            "before the lease is given away",
            task.id());
        child.Kill();
        return Ending::kFenced;
    }
    PassWishes(child, &asked);
    if (clock_.MonotonicNow() >= asked.deadline) {
      child.Kill();
      Fail(task, v1::FailTaskRequest::KIND_HAND_BACK, "WORKER_STOPPED",
           "the task did not stop in time and was killed");
      return Ending::kOverdue;
    }
    if (stall.Stalled(clock_.MonotonicNow())) {
      // Said first: a child that hangs in a driver may not die.
      Fail(task, v1::FailTaskRequest::KIND_RETRYABLE, "STALLED",
           absl::StrCat("nothing was done for ",
                        absl::FormatDuration(stall.Limit()),
                        ": the task was killed"));
      child.Kill();
      return Ending::kStalled;
    }
  }
}

TaskSupervisor::Ending TaskSupervisor::ReportEnd(const v1::Task& task,
                                                 const ChildEnd& end,
                                                 const Asked& asked) {
  switch (end.status) {
    case kChildDone:
      spdlog::info("{}: completed", task.id());
      return Ending::kDone;
    case kChildReported:
      return Ending::kReported;
    case kChildLeaseLost:
      spdlog::warn("{}: the lease was lost", task.id());
      return Ending::kLeaseLost;
    default:
      // A child that dies while it stops has not failed its job.
      Fail(task,
           asked.stop || asked.cancel ? v1::FailTaskRequest::KIND_HAND_BACK
                                      : v1::FailTaskRequest::KIND_RETRYABLE,
           "WORKER_CRASHED",
           absl::StrCat("the task's process ", end.Describe()));
      return Ending::kCrashed;
  }
}

void TaskSupervisor::Fail(const v1::Task& task, v1::FailTaskRequest::Kind kind,
                          const std::string& reason,
                          const std::string& message) {
  spdlog::warn("{}: {}", task.id(), message);
  const absl::Status status = transport::Retry(
      connection_.stop(), "FailTask",
      [&] {
        return connection_.FailTask(task.lease_token(), kind, reason, message);
      },
      kReportLimit);
  if (!status.ok()) {
    spdlog::warn("{}: not reported: {}", task.id(),
                 std::string(status.message()));
  }
}

}  // namespace attune::supervise
