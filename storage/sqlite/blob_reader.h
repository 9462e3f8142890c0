#ifndef ATTUNE_STORAGE_SQLITE_BLOB_READER_H_
#define ATTUNE_STORAGE_SQLITE_BLOB_READER_H_

#include <cstdint>
#include <string>

#include "common/digest.h"
#include "storage/blob_store.h"
#include "storage/sqlite/blob_table.h"
#include "storage/sqlite/database.h"

namespace attune::storage {

// Each chunk is read in a transaction of its own: a client that is waited for
// must not keep the write-ahead log from being reset.
class SqliteBlobReader : public BlobReader {
 public:
  // `database` outlives the reader.
  SqliteBlobReader(Database& database, absl::string_view digest)
      : database_(database), digest_(digest) {}

  absl::StatusOr<std::string> Next() override;

 private:
  // Of a chunk that is not there: the blob was deleted meanwhile, or damaged.
  absl::Status MissingChunk() const;

  Database& database_;
  const std::string digest_;
  BlobRow blob_;
  int64_t next_chunk_ = 0;
  int64_t done_bytes_ = 0;
  Sha256 hash_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_BLOB_READER_H_
