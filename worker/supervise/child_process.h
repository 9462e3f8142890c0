#ifndef ATTUNE_WORKER_SUPERVISE_CHILD_PROCESS_H_
#define ATTUNE_WORKER_SUPERVISE_CHILD_PROCESS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "worker/supervise/child_protocol.h"

namespace attune::supervise {

// How a process ended.
struct ChildEnd {
  // Its exit status, or -1 when a signal killed it.
  int status = -1;
  // The signal, or 0.
  int signal = 0;

  // Such as "was killed by signal 9 (Killed)".
  std::string Describe() const;
};

// A child process, killed by the kernel when the thread that started it ends:
// start it from a thread that lives as long as it should. Not thread-safe.
class ChildProcess {
 public:
  // Starts `command` (a path and its arguments) with fork and exec, `input` to
  // be read from kInputFd. It ignores SIGINT and SIGTERM, which terminals and
  // service managers send to whole groups: the parent gives the orders.
  // INTERNAL when the process cannot be made; a path that cannot be executed
  // shows as exit status 127.
  static absl::StatusOr<ChildProcess> Start(
      const std::vector<std::string>& command, absl::string_view input);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  // Kills the process if it still runs, and waits for its end.
  ~ChildProcess();

  pid_t pid() const { return pid_; }

  // Dropped when the process has ended.
  void Send(Order order);
  // Lets the child see the end of its orders.
  void CloseOrders();

  // Waits until progress comes, the process ends or `timeout` is over.
  // Returns the newest progress, or nothing when none came.
  std::optional<Progress> AwaitProgress(absl::Duration timeout);

  // How it ended, or nothing while it runs.
  std::optional<ChildEnd> Poll();

  // SIGKILL, and waits for the end.
  void Kill();

 private:
  ChildProcess(pid_t pid, int order_fd, int progress_fd)
      : pid_(pid), order_fd_(order_fd), progress_fd_(progress_fd) {}

  pid_t pid_;
  int order_fd_;
  int progress_fd_;
  std::optional<ChildEnd> end_;
};

}  // namespace attune::supervise

#endif  // ATTUNE_WORKER_SUPERVISE_CHILD_PROCESS_H_
