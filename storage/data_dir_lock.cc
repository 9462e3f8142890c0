#include "storage/data_dir_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "storage/files.h"

namespace attune::storage {
namespace {

std::string ReadOwner(int descriptor) {
  char text[32];
  const ssize_t length = pread(descriptor, text, sizeof(text), 0);
  if (length <= 0) return "unknown";
  return std::string(
      absl::StripAsciiWhitespace(absl::string_view(text, length)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirLock>> DataDirLock::Acquire(
    const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/LOCK");
  // O_CLOEXEC: a child process must not keep the lock.
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  }
  auto lock = absl::WrapUnique(new DataDirLock(descriptor));
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) {
      return ErrnoStatus(error, absl::StrCat("cannot lock ", path));
    }
    return Error(
        absl::StatusCode::kFailedPrecondition, "DATA_DIR_LOCKED",
        absl::StrCat(folder, " is in use by process ", ReadOwner(descriptor),
                     "; stop it or choose another data folder"));
  }
  const std::string owner = absl::StrCat(getpid(), "\n");
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, owner.data(), owner.size(), 0) !=
          static_cast<ssize_t>(owner.size())) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  }
  return lock;
}

DataDirLock::~DataDirLock() { close(descriptor_); }

}  // namespace attune::storage
