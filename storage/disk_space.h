// How much room the data folder's disk has, and who may still use it.

#ifndef ATTUNE_STORAGE_DISK_SPACE_H_
#define ATTUNE_STORAGE_DISK_SPACE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace attune::storage {

struct DiskSpaceOptions {
  // Uploads are refused when fewer bytes than this are free.
  int64_t min_free_bytes = int64_t{1} << 30;
  // Size of the file RESERVE, which is given up for state.db when the disk is
  // full; 0 for none.
  int64_t reserve_bytes = int64_t{64} << 20;
  // Free bytes of the disk; the folder's file system is asked unless it is
  // set. Thread-safe.
  std::function<absl::StatusOr<int64_t>()> free_bytes;
};

// A disk fills up in this order: first uploads are refused, then every blob
// (a checkpoint too), and the state of jobs can be written for as long as the
// reserve lasts. Where the disk cannot be asked, nothing is refused.
// Thread-safe.
class DiskSpace {
 public:
  // What blobs leave to state.db, beside the reserve.
  static constexpr int64_t kStateBytes = int64_t{32} << 20;

  // Sets the reserve aside where the disk has room for it and the file system
  // can. UNAVAILABLE, reason DISK_ERROR, when the file cannot be made.
  static absl::StatusOr<std::unique_ptr<DiskSpace>> Open(
      const std::string& folder, const DiskSpaceOptions& options);
  ~DiskSpace();
  DiskSpace(const DiskSpace&) = delete;
  DiskSpace& operator=(const DiskSpace&) = delete;

  // `reusable_bytes` are those that a database has free within itself.
  //
  // RESOURCE_EXHAUSTED, reason LOW_DISK_SPACE.
  absl::Status AdmitUpload(int64_t reusable_bytes) const;
  // RESOURCE_EXHAUSTED, reason DISK_FULL: `bytes` would take what state.db may
  // need. They are counted twice, for the log and for the database.
  absl::Status AdmitBlobs(int64_t bytes, int64_t reusable_bytes) const;

  // Before a change of state.db: gives the reserve up when little else is
  // free, and sets it aside again once there is room.
  void PrepareStateWrite();
  // A change of state.db has failed for want of room: the next one gets the
  // reserve.
  void StateWriteFailed();

  // -1 where it is not known.
  int64_t FreeBytes() const;
  bool reserve_held() const;

 private:
  DiskSpace(const DiskSpaceOptions& options, int descriptor)
      : options_(options), descriptor_(descriptor) {}

  void SetAside() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const DiskSpaceOptions options_;
  const int descriptor_;  // of RESERVE
  mutable absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  // The file system has no fallocate: a reserve would be a promise only.
  bool impossible_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_DISK_SPACE_H_
