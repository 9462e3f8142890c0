// The tables blobs and chunks.

#ifndef ATTUNE_STORAGE_SQLITE_BLOB_TABLE_H_
#define ATTUNE_STORAGE_SQLITE_BLOB_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/disk_space.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/database.h"

namespace attune::storage {

constexpr int64_t kChunkBytes = 4 << 20;
// The most that one transaction adds or removes.
constexpr int64_t kTransactionBytes = 64 << 20;

struct BlobRow {
  int64_t id = 0;
  int64_t size_bytes = 0;
};

// Bytes of the pages that deleted blobs have left in the file.
absl::StatusOr<int64_t> ReusableBytes(Connection& connection);

// DiskSpace::AdmitBlobs; OK without a `disk`.
absl::Status AdmitBlobs(Connection& connection, const DiskSpace* disk,
                        int64_t bytes);

// NOT_FOUND.
absl::StatusOr<BlobRow> FindBlob(Connection& connection,
                                 absl::string_view digest);

// Whether the blob is there; if so it counts as put at `now`.
absl::StatusOr<bool> TouchBlob(Connection& connection, absl::string_view digest,
                               absl::Time now);

// A new row, unfinished without a digest; returns its id.
absl::StatusOr<int64_t> InsertBlob(Connection& connection,
                                   const std::optional<std::string>& digest,
                                   int64_t size_bytes, absl::Time now);

// Gives an unfinished blob its digest: from then on it is there.
absl::Status FinishBlob(Connection& connection, int64_t id,
                        const std::string& digest, int64_t size_bytes,
                        absl::Time now);

// REQUIRES: 0 < bytes.size() <= kChunkBytes.
absl::Status InsertChunk(Connection& connection, int64_t blob, int64_t number,
                         absl::string_view bytes);

// Chunk `number`; "" when there is none.
absl::StatusOr<std::string> ReadChunk(Connection& connection, int64_t blob,
                                      int64_t number);

// Removes unfinished blobs in as many transactions as their size asks for.
// REQUIRES: no writer works on them.
absl::Status RemoveUnfinished(Database& database, std::vector<int64_t> blobs);

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_BLOB_TABLE_H_
