#include "storage/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"

namespace attune::storage {

absl::Status ErrnoStatus(int error, absl::string_view message) {
  if (error == ENOSPC || error == EDQUOT) {
    return Error(absl::StatusCode::kResourceExhausted, "DISK_FULL",
                 absl::StrCat(message, ": the disk is full"));
  }
  return WithReason(absl::ErrnoToStatus(error, message), "DISK_ERROR");
}

absl::Status SyncPath(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  }
  const int result = fsync(descriptor);
  const int error = errno;
  close(descriptor);
  if (result == 0) return absl::OkStatus();
  return ErrnoStatus(error, absl::StrCat("cannot sync ", path));
}

absl::Status RenameDurably(const std::string& from, const std::string& to) {
  ATTUNE_RETURN_IF_ERROR(SyncPath(from));
  if (rename(from.c_str(), to.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot rename ", from));
  }
  const std::filesystem::path folder = std::filesystem::path(to).parent_path();
  return SyncPath(folder.empty() ? "." : folder.string());
}

absl::Status CopyDurably(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  if (error) {
    return ErrnoStatus(error.value(),
                       absl::StrCat("cannot copy ", from, " to ", to));
  }
  return SyncPath(to);
}

}  // namespace attune::storage
