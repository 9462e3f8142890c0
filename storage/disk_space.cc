#include "storage/disk_space.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "storage/files.h"

namespace attune::storage {
namespace {

absl::StatusOr<int64_t> AskFileSystem(const std::string& folder) {
  struct statvfs information;
  if (statvfs(folder.c_str(), &information) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot ask the disk of ", folder));
  }
  // What this user may take, not what root may.
  return static_cast<int64_t>(information.f_bavail) *
         static_cast<int64_t>(information.f_frsize);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DiskSpace>> DiskSpace::Open(
    const std::string& folder, const DiskSpaceOptions& options) {
  const std::string path = absl::StrCat(folder, "/RESERVE");
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  }
  DiskSpaceOptions filled = options;
  if (!filled.free_bytes) {
    filled.free_bytes = [folder] { return AskFileSystem(folder); };
  }
  auto space = absl::WrapUnique(new DiskSpace(filled, descriptor));
  absl::MutexLock lock(&space->mutex_);
  // What an earlier server held counts as room now.
  space->GiveUp();
  space->SetAside();
  return space;
}

DiskSpace::~DiskSpace() { close(descriptor_); }

int64_t DiskSpace::FreeBytes() const {
  return options_.free_bytes().value_or(-1);
}

bool DiskSpace::reserve_held() const {
  absl::MutexLock lock(&mutex_);
  return held_;
}

absl::Status DiskSpace::AdmitUpload(int64_t reusable_bytes) const {
  const int64_t free = FreeBytes();
  if (free < 0 || free + reusable_bytes >= options_.min_free_bytes) {
    return absl::OkStatus();
  }
  return Error(
      absl::StatusCode::kResourceExhausted, "LOW_DISK_SPACE",
      absl::StrCat("the server's disk has ", free + reusable_bytes,
                   " bytes left and takes no uploads below ",
                   options_.min_free_bytes,
                   ": delete datasets or models, or give it more room"));
}

absl::Status DiskSpace::AdmitBlobs(int64_t bytes,
                                   int64_t reusable_bytes) const {
  const int64_t free = FreeBytes();
  const int64_t growth = std::max<int64_t>(0, bytes - reusable_bytes);
  // Without growth only the log may get longer, up to its limit.
  const int64_t needed =
      bytes + growth + (growth > 0 ? kStateBytes : kStateBytes / 2);
  if (free < 0 || free >= needed) return absl::OkStatus();
  return Error(absl::StatusCode::kResourceExhausted, "DISK_FULL",
               absl::StrCat("the server's disk has ", free,
                            " bytes left, which are kept for the state of "
                            "jobs: give it more room"));
}

void DiskSpace::PrepareStateWrite() {
  const int64_t free = FreeBytes();
  if (free < 0) return;
  absl::MutexLock lock(&mutex_);
  if (held_ && free < kStateBytes / 2) {
    GiveUp();
  } else if (!held_ && free >= kStateBytes + options_.reserve_bytes) {
    SetAside();
  }
}

void DiskSpace::StateWriteFailed() {
  absl::MutexLock lock(&mutex_);
  GiveUp();
}

void DiskSpace::SetAside() {
  if (held_ || impossible_ || options_.reserve_bytes <= 0) return;
  const int64_t free = FreeBytes();
  if (free >= 0 && free < kStateBytes + options_.reserve_bytes) return;
  if (fallocate(descriptor_, 0, 0, options_.reserve_bytes) == 0) {
    held_ = true;
    return;
  }
  impossible_ = errno == EOPNOTSUPP;
  // A part may have been taken.
  GiveUp();
}

void DiskSpace::GiveUp() {
  held_ = false;
  // It can only fail where nothing was held.
  if (ftruncate(descriptor_, 0) != 0) return;
}

}  // namespace attune::storage
