#ifndef ATTUNE_STORAGE_DATA_DIR_LOCK_H_
#define ATTUNE_STORAGE_DATA_DIR_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace attune::storage {

// Keeps a second server out of a data folder: a lock on its file LOCK, which
// holds the owner's process id. The operating system releases it when the
// process ends in any way; the file stays.
class DataDirLock {
 public:
  // FAILED_PRECONDITION, reason DATA_DIR_LOCKED, naming the process that holds
  // it; otherwise the code that belongs to errno, reason DISK_ERROR.
  static absl::StatusOr<std::unique_ptr<DataDirLock>> Acquire(
      const std::string& folder);
  ~DataDirLock();
  DataDirLock(const DataDirLock&) = delete;
  DataDirLock& operator=(const DataDirLock&) = delete;

 private:
  explicit DataDirLock(int descriptor) : descriptor_(descriptor) {}

  const int descriptor_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_DATA_DIR_LOCK_H_
