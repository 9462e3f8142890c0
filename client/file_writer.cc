#include "client/file_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/status_macros.h"

namespace attune::client {

FileWriter::FileWriter(std::string path)
    : path_(std::move(path)),
      temporary_path_(absl::StrCat(path_, ".", RandomHex(4), ".part")) {
  file_ = open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
               0666);
  if (file_ < 0) open_status_ = Failed("create");
}

FileWriter::~FileWriter() {
  if (file_ < 0) return;
  CloseFile();
  unlink(temporary_path_.c_str());
}

absl::Status FileWriter::Failed(absl::string_view action) const {
  return Error(
      absl::StatusCode::kFailedPrecondition, "FILE_NOT_WRITTEN",
      absl::StrCat("cannot ", action, " ", path_, ": ", strerror(errno)));
}

void FileWriter::CloseFile() {
  close(file_);
  file_ = -1;
}

absl::Status FileWriter::Write(absl::string_view bytes) {
  ATTUNE_RETURN_IF_ERROR(open_status_);
  while (!bytes.empty()) {
    const ssize_t written = write(file_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Failed("write");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status FileWriter::Commit() {
  ATTUNE_RETURN_IF_ERROR(open_status_);
  if (fsync(file_) != 0) return Failed("write");
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) {
    return Failed("name");
  }
  CloseFile();
  return absl::OkStatus();
}

}  // namespace attune::client
