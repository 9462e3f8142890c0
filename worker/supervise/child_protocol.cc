#include "worker/supervise/child_protocol.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace attune::supervise {

void WriteProgress(const Progress& progress) {
  // Whole or not at all: it is shorter than PIPE_BUF. The parent made the
  // pipe non-blocking.
  const ssize_t written = write(kProgressFd, &progress, sizeof(progress));
  static_cast<void>(written);
}

absl::StatusOr<Order> ReadOrder() {
  char byte = 0;
  ssize_t count;
  do {
    count = read(kOrderFd, &byte, 1);
  } while (count < 0 && errno == EINTR);
  if (count != 1) return absl::CancelledError("the parent is gone");
  return static_cast<Order>(byte);
}

absl::StatusOr<std::string> ReadInput() {
  std::string input;
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = read(kInputFd, buffer, sizeof(buffer));
    if (count == 0) return input;
    if (count < 0 && errno != EINTR) {
      return absl::InternalError(
          absl::StrCat("cannot read the task: ", strerror(errno)));
    }
    if (count > 0) input.append(buffer, static_cast<size_t>(count));
  }
}

}  // namespace attune::supervise
