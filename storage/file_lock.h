#ifndef ATTUNE_STORAGE_FILE_LOCK_H_
#define ATTUNE_STORAGE_FILE_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace attune::storage {

// A lock between processes, on a file that is made when it is missing. The
// operating system releases it when the process ends in any way.
class FileLock {
 public:
  enum class Mode {
    kExclusive,  // alone; fails when another holds it
    kShared,     // beside other shared ones; waits for an exclusive one
  };

  // UNAVAILABLE, reason LOCKED (kExclusive); otherwise the code that belongs
  // to errno, reason DISK_ERROR.
  static absl::StatusOr<std::unique_ptr<FileLock>> Acquire(
      const std::string& path, Mode mode);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  const int descriptor_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_FILE_LOCK_H_
