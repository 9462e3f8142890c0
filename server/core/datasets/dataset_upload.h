#ifndef ATTUNE_SERVER_CORE_DATASETS_DATASET_UPLOAD_H_
#define ATTUNE_SERVER_CORE_DATASETS_DATASET_UPLOAD_H_

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "common/error.h"
#include "server/core/idempotency.h"
#include "server/core/upload_staging.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::core {

// One row with its pictures, as it is uploaded.
struct ExampleInput {
  // Without ids, digests and sizes, which the upload computes.
  storage::Example example;
  std::string image;
  std::string clean_image;  // pair only; "" for none
  // Digests that the uploader claims, "" for none.
  std::string image_digest;
  std::string clean_image_digest;
};

// One upload: pictures are stored as they come, rows in one transaction at the
// end, so that it commits whole or not at all. What is stored is remembered, so
// that an upload that was cut can go on. Holds at most two batches of pictures
// and the rows. Not thread-safe; blocks on the disk.
class DatasetUpload {
 public:
  // Names of refused rows begin with the index in this upload, from 0.
  static constexpr size_t kMaxReportedRows = 100;
  static constexpr size_t kMaxAttributes = 64;
  static constexpr size_t kMaxAttributeBytes = 1024;
  // Rows of one upload, without pictures.
  static constexpr int64_t kMaxRowBytes = int64_t{256} << 20;

  // Goes on after what `staging` has found. Without one an upload with this
  // request_id has been committed, which this one then repeats without an
  // effect. REQUIRES: `dataset` takes uploads, or `staging` is nullptr.
  DatasetUpload(storage::StateStore& state, storage::BlobStore& blobs,
                const Clock& clock, const storage::Dataset& dataset,
                std::unique_ptr<UploadStaging> staging);

  // Where the bytes go on, and Sha256::SaveState of those before; 0 and "" for
  // a new upload.
  int64_t start_offset() const { return start_offset_; }
  const std::string& start_hash_state() const { return start_hash_state_; }

  // Takes one row. A row that is refused is remembered for Commit; an error,
  // which ends the upload, comes after 100 refused rows (INVALID_ARGUMENT,
  // reason INVALID_EXAMPLES), when the rows are too many (RESOURCE_EXHAUSTED,
  // reason UPLOAD_TOO_LARGE).
  absl::Status Add(ExampleInput input);

  // Whether StoreBatch is due.
  bool batch_is_full() const;
  // Begins to store the rows added so far, which end at `end_offset` of the
  // upload's bytes, once the batch before is stored; returns that one's error:
  // RESOURCE_EXHAUSTED, reason LOW_DISK_SPACE or DISK_FULL; ABORTED, reason
  // UPLOAD_TAKEN_OVER.
  absl::Status StoreBatch(int64_t end_offset, std::string hash_state);
  // The stream was cut: stores what there is, for the next one. It may not be
  // used any more.
  void Keep(int64_t end_offset, std::string hash_state);

  // The stream failed with `why`; see UploadStaging::GiveUp. The upload may not
  // be used any more.
  void GiveUp(const absl::Status& why);

  // Stores the rows and returns how many. INVALID_ARGUMENT, reason
  // INVALID_EXAMPLES naming the first 100 refused rows, such as
  // "examples[3].preferred", or EMPTY_UPLOAD; FAILED_PRECONDITION, reason
  // DATASET_SEALED, when the dataset was sealed meanwhile; NOT_FOUND; the
  // errors of ApplyOnce. REQUIRES: called once.
  absl::StatusOr<int64_t> Commit(const RequestKey& key);

 private:
  using Images = std::vector<std::pair<std::string, std::string>>;

  void Refuse(absl::string_view field, absl::string_view problem);
  void CheckTexts(const storage::Example& example);
  void CheckText(absl::string_view field, absl::string_view text,
                 bool among_candidates);
  void CheckAttributes(absl::string_view field,
                       const storage::Attributes& attributes);
  // Digest of a picture whose header is good.
  std::string CheckImage(absl::string_view field, absl::string_view image,
                         absl::string_view claimed_digest);
  void AddImage(const std::string& digest, std::string image);
  absl::Status RefusedRows() const;
  absl::Status PutImages(const Images& images) const;
  absl::Status AwaitBatch();

  storage::StateStore& state_;
  storage::BlobStore& blobs_;
  const Clock& clock_;
  const std::string dataset_;
  const bool committed_;
  const bool candidates_named_;
  const absl::flat_hash_set<std::string> candidates_;
  const std::unique_ptr<UploadStaging> staging_;  // nullptr: committed_
  int64_t start_offset_ = 0;
  std::string start_hash_state_;

  int64_t count_ = 0;
  int64_t refused_rows_ = 0;
  std::vector<FieldViolation> violations_;
  std::vector<storage::Example> rows_;
  size_t batched_rows_ = 0;  // that StoreBatch has been asked to store
  int64_t row_bytes_ = 0;
  // Pictures that are not stored yet, with their digests.
  Images images_;
  size_t images_bytes_ = 0;
  // The batch that is being stored; waited for at the end.
  std::future<absl::Status> storing_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_DATASETS_DATASET_UPLOAD_H_
