#include "worker/supervise/process_keeper.h"

#include <spdlog/spdlog.h>

#include <optional>

#include "common/clock.h"
#include "worker/supervise/child_process.h"
#include "worker/transport/retry.h"

namespace attune::supervise {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(200);
// One that has run so long did not die of its start.
constexpr absl::Duration kGoodRun = absl::Minutes(1);

}  // namespace

void KeepProcess(const std::vector<std::string>& command,
                 const transport::StopSignal& stop, absl::Duration end_limit) {
  const Clock& clock = Clock::Real();
  transport::BackOff back_off;
  while (!stop.stopped()) {
    const absl::Duration started = clock.MonotonicNow();
    absl::StatusOr<ChildProcess> child = ChildProcess::Start(command, "");
    if (!child.ok()) {
      spdlog::error("{}", std::string(child.status().message()));
      stop.WaitFor(back_off.Next());
      continue;
    }
    std::optional<ChildEnd> end;
    while (!(end = child->Poll()).has_value() && !stop.WaitFor(kTick)) {
    }
    if (!end.has_value()) {
      child->CloseOrders();
      const absl::Duration deadline = clock.MonotonicNow() + end_limit;
      while (!child->Poll().has_value() && clock.MonotonicNow() < deadline) {
        child->AwaitProgress(kTick);
      }
      return;
    }
    spdlog::error("process {} {}; starting it again", child->pid(),
                  end->Describe());
    if (clock.MonotonicNow() - started >= kGoodRun) back_off.Reset();
    stop.WaitFor(back_off.Next());
  }
}

}  // namespace attune::supervise
