#include "worker/supervise/task_loop.h"

#include <spdlog/spdlog.h>

#include <optional>

#include "absl/time/time.h"
#include "worker/transport/retry.h"

namespace attune::supervise {
namespace {

constexpr absl::Duration kPollWait = absl::Seconds(30);

}  // namespace

void RunTaskLoop(transport::ServerConnection& connection,
                 const std::string& worker_id, TaskSupervisor& supervisor) {
  transport::StopSignal& stop = connection.stop();
  transport::BackOff refused;
  while (!stop.stopped()) {
    std::optional<v1::Task> task;
    const absl::Status status = transport::Retry(stop, "LeaseTask", [&] {
      auto leased = connection.LeaseTask(worker_id, kPollWait);
      if (leased.ok()) task = *std::move(leased);
      return leased.status();
    });
    if (status.ok()) {
      refused.Reset();
      if (task.has_value()) supervisor.Run(*task);
    } else if (!stop.stopped()) {
      // NOT_FOUND after the server's restart: the next heartbeat registers.
      if (!absl::IsNotFound(status)) {
        spdlog::warn("LeaseTask: {}", std::string(status.message()));
      }
      stop.WaitFor(refused.Next());
    }
  }
}

}  // namespace attune::supervise
