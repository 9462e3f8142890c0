#include "worker/supervise/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace attune::supervise {
namespace {

constexpr int kCannotExecute = 127;
// Above the descriptors that the child uses.
constexpr int kFirstFreeFd = 10;
constexpr absl::Duration kHangUpPause = absl::Milliseconds(2);

absl::Status SystemError(absl::string_view what) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(errno)));
}

// A descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Moves a descriptor out of the way of those that the child gets.
absl::StatusOr<Fd> Lifted(Fd fd) {
  Fd lifted(fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstFreeFd));
  if (lifted.get() < 0) return SystemError("cannot copy a descriptor");
  return lifted;
}

absl::StatusOr<std::pair<Fd, Fd>> Pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("cannot make a pipe");
  Fd read_end(ends[0]), write_end(ends[1]);
  ATTUNE_ASSIGN_OR_RETURN(Fd reader, Lifted(std::move(read_end)));
  ATTUNE_ASSIGN_OR_RETURN(Fd writer, Lifted(std::move(write_end)));
  return std::make_pair(std::move(reader), std::move(writer));
}

absl::StatusOr<Fd> FileWith(absl::string_view bytes) {
  Fd made(memfd_create("attune-task", MFD_CLOEXEC));
  if (made.get() < 0) return SystemError("cannot make a memory file");
  ATTUNE_ASSIGN_OR_RETURN(Fd file, Lifted(std::move(made)));
  while (!bytes.empty()) {
    const ssize_t count = write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) return SystemError("cannot write a task");
    if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return SystemError("cannot seek");
  return file;
}

// The child's side between fork and exec: only async-signal-safe calls.
[[noreturn]] void Execute(char* const* arguments, pid_t parent, int orders,
                          int progress, int input) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before that line.
  if (getppid() != parent) _exit(kCannotExecute);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  if (dup2(orders, kOrderFd) < 0 || dup2(progress, kProgressFd) < 0 ||
      dup2(input, kInputFd) < 0) {
    _exit(kCannotExecute);
  }
  execv(arguments[0], arguments);
  _exit(kCannotExecute);
}

}  // namespace

std::string ChildEnd::Describe() const {
  if (signal == 0) return absl::StrCat("ended with exit status ", status);
  return absl::StrCat(
      "was killed by signal ", signal, " (", strsignal(signal), ")",
      signal == SIGKILL ? "; the kernel does that when memory runs out" : "");
}

absl::StatusOr<ChildProcess> ChildProcess::Start(
    const std::vector<std::string>& command, absl::string_view input) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  ATTUNE_ASSIGN_OR_RETURN(auto orders, Pipe());
  ATTUNE_ASSIGN_OR_RETURN(auto progress, Pipe());
  ATTUNE_ASSIGN_OR_RETURN(Fd file, FileWith(input));
  fcntl(progress.first.get(), F_SETFL, O_NONBLOCK);
  fcntl(progress.second.get(), F_SETFL, O_NONBLOCK);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return SystemError("cannot start a process");
  if (pid == 0) {
    Execute(arguments.data(), parent, orders.first.get(), progress.second.get(),
            file.get());
  }
  return ChildProcess(pid, orders.second.Release(), progress.first.Release());
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      order_fd_(std::exchange(other.order_fd_, -1)),
      progress_fd_(std::exchange(other.progress_fd_, -1)),
      end_(other.end_) {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  Kill();
  CloseOrders();
  close(progress_fd_);
}

void ChildProcess::Send(Order order) {
  if (order_fd_ < 0) return;
  const char byte = static_cast<char>(order);
  // Fails when the child is gone, which Poll will tell.
  const ssize_t written = write(order_fd_, &byte, 1);
  static_cast<void>(written);
}

void ChildProcess::CloseOrders() {
  if (order_fd_ >= 0) close(order_fd_);
  order_fd_ = -1;
}

std::optional<Progress> ChildProcess::AwaitProgress(absl::Duration timeout) {
  pollfd entry = {progress_fd_, POLLIN, 0};
  const int ready =
      poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  std::optional<Progress> newest;
  if (ready <= 0) return newest;
  Progress progress;
  while (read(progress_fd_, &progress, sizeof(progress)) ==
         static_cast<ssize_t>(sizeof(progress))) {
    newest = progress;
  }
  // The other end is closed, by a process that is about to end: do not spin.
  if (!newest.has_value()) absl::SleepFor(std::min(timeout, kHangUpPause));
  return newest;
}

std::optional<ChildEnd> ChildProcess::Poll() {
  if (end_.has_value()) return end_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  end_.emplace();
  if (WIFEXITED(status)) end_->status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end_->signal = WTERMSIG(status);
  return end_;
}

void ChildProcess::Kill() {
  if (Poll().has_value()) return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  end_.emplace();
  if (WIFEXITED(status)) end_->status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end_->signal = WTERMSIG(status);
}

}  // namespace attune::supervise
