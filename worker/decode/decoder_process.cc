#include "worker/decode/decoder_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/image/image_header.h"
#include "common/status_macros.h"
#include "worker/decode/decoder_protocol.h"

namespace attune::decode {
namespace {

// Above the descriptors that the child gets, so that giving it one of them
// never overwrites the other.
constexpr int kFirstFreeFd = 10;

absl::Status SystemError(absl::string_view what, int error = errno) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(error)));
}

// A memory file whose size is fixed for ever: a decoder that was taken over
// cannot take the memory away from under the worker.
absl::StatusOr<int> MakeMemory() {
  const int made =
      memfd_create("attune-decoder", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (made < 0) return SystemError("cannot make a memory file");
  auto close_made = absl::MakeCleanup([made] { close(made); });
  if (ftruncate(made, kMemoryBytes) != 0 ||
      fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
          0) {
    return SystemError("cannot size a memory file");
  }
  const int lifted = fcntl(made, F_DUPFD_CLOEXEC, kFirstFreeFd);
  if (lifted < 0) return SystemError("cannot copy a descriptor");
  return lifted;
}

absl::StatusOr<pid_t> Spawn(const std::string& program, int socket,
                            int memory) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  auto destroy = absl::MakeCleanup([&] {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  });
  posix_spawn_file_actions_adddup2(&actions, socket, kSocketFd);
  posix_spawn_file_actions_adddup2(&actions, memory, kMemoryFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, kMemoryFd + 1);
  // A terminal's Ctrl-C goes to all of its group: the worker decides.
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  std::string name = program;
  char* const arguments[] = {name.data(), nullptr};
  // No environment: it may hold secrets.
  char* const environment[] = {nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes,
                                arguments, environment);
  if (error != 0) {
    return SystemError(absl::StrCat("cannot start ", program), error);
  }
  return pid;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DecoderProcess>> DecoderProcess::Start(
    const std::string& program) {
  ATTUNE_ASSIGN_OR_RETURN(const int memory, MakeMemory());
  auto close_memory = absl::MakeCleanup([memory] { close(memory); });
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("cannot make a socket");
  }
  auto process = absl::WrapUnique(new DecoderProcess);
  process->socket_ = ends[0];
  const int theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, kFirstFreeFd);
  close(ends[1]);
  if (theirs < 0) return SystemError("cannot copy a descriptor");
  auto close_theirs = absl::MakeCleanup([theirs] { close(theirs); });
  void* const mapped = mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED, memory, 0);
  if (mapped == MAP_FAILED) return SystemError("cannot map a memory file");
  process->memory_ = static_cast<char*>(mapped);
  ATTUNE_ASSIGN_OR_RETURN(process->pid_, Spawn(program, theirs, memory));
  return process;
}

DecoderProcess::~DecoderProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (socket_ >= 0) close(socket_);
  if (memory_ != nullptr) munmap(memory_, kMemoryBytes);
}

bool DecoderProcess::alive() const {
  // The socket of a process that is gone hangs up.
  pollfd entry = {socket_, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

absl::Status DecoderProcess::Decode(absl::string_view file, int side,
                                    absl::Span<uint8_t> pixels,
                                    absl::Duration limit) {
  if (file.size() > static_cast<size_t>(image::kMaxImageBytes)) {
    return image::InvalidImage("the file is larger than 20 MiB");
  }
  if (side < 0 || side > kMaxSide || pixels.size() != size_t{3} * side * side) {
    return absl::InternalError(
        absl::StrCat("no square of ", side, " pixels can be made"));
  }
  std::memcpy(memory_ + kFileOffset, file.data(), file.size());
  const DecodeRequest request = {.file_bytes = file.size(),
                                 .side = static_cast<uint64_t>(side)};
  if (send(socket_, &request, sizeof(request), MSG_NOSIGNAL) !=
      sizeof(request)) {
    return Died();
  }
  ATTUNE_RETURN_IF_ERROR(AwaitAnswer(limit));
  DecodeAnswer answer;
  if (recv(socket_, &answer, sizeof(answer), 0) != sizeof(answer)) {
    return Died();
  }
  if (answer.good == 0) {
    const size_t size =
        std::min<size_t>(answer.message_bytes, sizeof(answer.message));
    return image::InvalidImage(absl::string_view(answer.message, size));
  }
  std::memcpy(pixels.data(), memory_ + kPixelOffset, pixels.size());
  return absl::OkStatus();
}

absl::Status DecoderProcess::AwaitAnswer(absl::Duration limit) {
  const Clock& clock = Clock::Real();
  const absl::Duration deadline = clock.MonotonicNow() + limit;
  while (true) {
    const absl::Duration left = deadline - clock.MonotonicNow();
    pollfd entry = {socket_, POLLIN, 0};
    const int ready = poll(&entry, 1,
                           static_cast<int>(std::max<int64_t>(
                               0, absl::ToInt64Milliseconds(absl::Ceil(
                                      left, absl::Milliseconds(1))))));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return SystemError("cannot wait");
    if (deadline <= clock.MonotonicNow()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "decoding took more than ", absl::FormatDuration(limit)));
    }
  }
}

absl::Status DecoderProcess::Died() {
  // It may only have closed its socket.
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (WIFSIGNALED(status)) {
    return absl::AbortedError(absl::StrCat("the decoder was killed by signal ",
                                           WTERMSIG(status), " (",
                                           strsignal(WTERMSIG(status)), ")"));
  }
  return absl::AbortedError(
      absl::StrCat("the decoder ended with exit status ", WEXITSTATUS(status)));
}

}  // namespace attune::decode
