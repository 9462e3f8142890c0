#include "storage/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "storage/files.h"

namespace attune::storage {

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::Acquire(
    const std::string& path, Mode mode) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  }
  auto lock = absl::WrapUnique(new FileLock(descriptor));
  int result = 0;
  do {
    result =
        flock(descriptor, mode == Mode::kShared ? LOCK_SH : LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return lock;
  if (errno == EWOULDBLOCK) {
    return Error(absl::StatusCode::kUnavailable, "LOCKED",
                 absl::StrCat(path, " is held by another process"));
  }
  return ErrnoStatus(errno, absl::StrCat("cannot lock ", path));
}

FileLock::~FileLock() { close(descriptor_); }

}  // namespace attune::storage
