#ifndef ATTUNE_STORAGE_SQLITE_BLOB_WRITER_H_
#define ATTUNE_STORAGE_SQLITE_BLOB_WRITER_H_

#include <cstdint>
#include <string>

#include "common/digest.h"
#include "storage/blob_store.h"
#include "storage/disk_space.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/put_clock.h"

namespace attune::storage {

// Stores full chunks as they come, each in a short transaction, under an
// unfinished row of blobs; Commit gives the row its digest. Many writers may
// be at work: none holds the database between two chunks. Holds at most one
// chunk in memory.
class SqliteBlobWriter : public BlobWriter {
 public:
  // All outlive the writer; `disk` may be nullptr.
  SqliteBlobWriter(Database& database, const PutClock& clock,
                   const DiskSpace* disk)
      : database_(database), clock_(clock), disk_(disk) {}
  ~SqliteBlobWriter() override;

  absl::Status Append(absl::string_view bytes) override;
  absl::StatusOr<std::string> Commit(
      absl::string_view expected_digest) override;

 private:
  // Adds a chunk to the unfinished row, which the first chunk makes.
  absl::Status StoreChunk(absl::string_view bytes);
  absl::Status Finish(const std::string& digest);

  Database& database_;
  const PutClock& clock_;
  const DiskSpace* const disk_;
  Sha256 hash_;
  std::string buffer_;  // bytes that do not fill a chunk yet
  int64_t size_bytes_ = 0;
  int64_t chunks_ = 0;
  int64_t unfinished_ = 0;  // row to remove if this is abandoned; 0 for none
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_BLOB_WRITER_H_
