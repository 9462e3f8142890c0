// Bytes by their SHA-256: images and tensors. An object store may take the
// place of the SQLite implementation.

#ifndef ATTUNE_STORAGE_BLOB_STORE_H_
#define ATTUNE_STORAGE_BLOB_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace attune::storage {

struct BlobView {
  std::string digest;  // SHA-256 of bytes, hexadecimal; trusted
  absl::string_view bytes;
};

// Receives one large blob in pieces. Not thread-safe; abandoned (nothing is
// kept) when it is destroyed before Commit succeeds. Blocks on the disk, the
// destructor too. The store outlives it.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // Makes the blob durable and returns its digest. DATA_LOSS, reason
  // DIGEST_MISMATCH, when `expected_digest` is not "" and differs.
  virtual absl::StatusOr<std::string> Commit(
      absl::string_view expected_digest) = 0;
};

// Gives one blob away in pieces, without holding more than one. Not
// thread-safe. Blocks on the disk. The store outlives it.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  // The next piece, at most 4 MiB; "" at the end. NOT_FOUND; DATA_LOSS, reason
  // BLOB_DAMAGED, when the bytes do not have the digest (found at the last
  // piece). REQUIRES: no error before.
  virtual absl::StatusOr<std::string> Next() = 0;
};

// Thread-safe; blocks on the disk. RESOURCE_EXHAUSTED, reason DISK_FULL, when
// there is no room.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Whether an upload may begin or go on: RESOURCE_EXHAUSTED, reason
  // LOW_DISK_SPACE, when too little room is left for more than what jobs need.
  virtual absl::Status CheckRoom() const = 0;

  // Stores blobs, durable when it returns; what is there already is skipped
  // (and kept for another grace time). Large batches are split into
  // transactions of at most 64 MiB.
  virtual absl::Status Put(absl::Span<const BlobView> blobs) = 0;

  virtual std::unique_ptr<BlobWriter> NewWriter() = 0;

  virtual std::unique_ptr<BlobReader> NewReader(
      absl::string_view digest) const = 0;

  // Calls `sink` with the pieces of NewReader and stops at its first error.
  absl::Status Read(
      absl::string_view digest,
      absl::FunctionRef<absl::Status(absl::string_view)> sink) const;

  // The whole blob.
  absl::StatusOr<std::string> ReadAll(absl::string_view digest) const;

  // Those of `digests` that are not there, in the order given.
  virtual absl::StatusOr<std::vector<std::string>> FindMissing(
      absl::Span<const std::string> digests) const = 0;

  // Size of a blob. NOT_FOUND.
  virtual absl::StatusOr<int64_t> Size(absl::string_view digest) const = 0;

  // Bytes of all blobs.
  virtual absl::StatusOr<int64_t> TotalBytes() const = 0;

  // Deletes the blobs last put more than `grace` ago that `find_referenced`
  // does not return out of the batch that it is asked about; returns how many.
  // Only time counts in which the store was open: wall time may be set.
  virtual absl::StatusOr<int64_t> CollectGarbage(
      absl::Duration grace,
      absl::FunctionRef<absl::StatusOr<std::vector<std::string>>(
          absl::Span<const std::string>)>
          find_referenced) = 0;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_BLOB_STORE_H_
