// Uploads that have begun and are not committed: what of them is stored, so
// that one that was cut goes on where it stopped.

#ifndef ATTUNE_STORAGE_UPLOAD_STORE_H_
#define ATTUNE_STORAGE_UPLOAD_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/records.h"

namespace attune::storage {

struct UploadRecord {
  std::string id;      // its request_id
  std::string target;  // dataset/NAME or model/NAME
  std::string holder;  // the stream that may add to it
  absl::Time update_time;
};

// A stretch of an upload whose blobs are durable.
struct UploadPart {
  int64_t end_offset = 0;  // of the first byte after it
  std::string hash_state;  // Sha256::SaveState over all bytes before that
  std::vector<Example> examples;  // of a dataset's upload
  // Of an import: the blob of the file's header (the first part names it), and
  // the tensors.
  std::string header_digest;
  TensorManifest tensors;
};

// In a transaction of state.db; see StateStore for the errors.
class UploadStore {
 public:
  virtual ~UploadStore() = default;
  virtual absl::StatusOr<std::optional<UploadRecord>> Find(
      absl::string_view id) const = 0;
  // Inserts it, or overwrites all but the id.
  virtual absl::Status Put(const UploadRecord& upload) = 0;
  // The blobs that it names are not garbage while the upload is there.
  // REQUIRES: the upload is there.
  virtual absl::Status AddPart(absl::string_view id,
                               const UploadPart& part) = 0;
  // In the order of their offsets.
  virtual absl::StatusOr<std::vector<UploadPart>> ListParts(
      absl::string_view id) const = 0;
  // Where the last part ends; 0 without parts.
  virtual absl::StatusOr<int64_t> EndOffset(absl::string_view id) const = 0;
  virtual absl::Status DeletePartsAfter(absl::string_view id,
                                        int64_t offset) = 0;
  // With their parts; no error when there is none.
  virtual absl::Status Delete(absl::string_view id) = 0;
  virtual absl::Status DeleteOfTarget(absl::string_view target) = 0;
  // Those last changed before `time`; how many.
  virtual absl::StatusOr<int64_t> DeleteBefore(absl::Time time) = 0;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_UPLOAD_STORE_H_
