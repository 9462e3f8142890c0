#ifndef ATTUNE_SERVER_CORE_UPLOAD_STAGING_H_
#define ATTUNE_SERVER_CORE_UPLOAD_STAGING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "storage/state_store.h"

namespace attune::core {

// What the server has of an upload.
struct UploadProgress {
  int64_t offset = 0;      // where it goes on
  bool committed = false;  // and then nothing is to be sent any more
  std::string result;      // of a committed one: what its commit gave
};

// An upload of which nothing is stored has the offset 0. INVALID_ARGUMENT,
// reason INVALID_REQUEST_ID, unless `id` is a UUID; ALREADY_EXISTS, reason
// REQUEST_ID_REUSED, when it is of another upload or call.
absl::StatusOr<UploadProgress> FindUpload(
    storage::StateTransaction& transaction, absl::string_view id,
    absl::string_view target);

// What the commit gave, of what UploadStaging::Record made.
absl::string_view ResultOfRecord(absl::string_view record);

// The parts of an upload that one stream has stored, so that the next one goes
// on after them. Two streams of an upload exclude each other: a later one takes
// it over, and what the earlier one adds is refused. Not thread-safe; blocks on
// the disk.
class UploadStaging {
 public:
  // Goes on with upload `id` at `offset`, with what is stored up to there in
  // TakeParts; what is stored after it is forgotten. An upload without an id
  // cannot be gone on with: its blobs are kept until the stream ends.
  // INVALID_ARGUMENT naming header.offset when no part ends there; the errors
  // of FindUpload.
  static absl::StatusOr<std::unique_ptr<UploadStaging>> Begin(
      storage::StateStore& state, const Clock& clock, absl::string_view id,
      absl::string_view target, int64_t offset);
  ~UploadStaging();

  // What Begin found; taken once.
  std::vector<storage::UploadPart> TakeParts() { return std::move(parts_); }

  // Adds a part whose blobs are durable. ABORTED, reason UPLOAD_TAKEN_OVER.
  absl::Status Add(const storage::UploadPart& part);

  // What ApplyOnce is to record of the commit, so that FindUpload knows the
  // upload again.
  std::string Record(absl::string_view result) const;

  // The stream failed with `why`: forgets the parts when sending the same bytes
  // again would fail again.
  void GiveUp(const absl::Status& why) const;

  // Forgets the parts, in the transaction that commits the upload. ABORTED,
  // reason UPLOAD_TAKEN_OVER.
  absl::Status Remove(storage::StateTransaction& transaction) const;
  // The same in a transaction that finds it committed before: a stream that
  // has taken over is left alone.
  absl::Status RemoveRepeated(storage::StateTransaction& transaction) const;

 private:
  UploadStaging(storage::StateStore& state, const Clock& clock,
                storage::UploadRecord record, bool has_id)
      : state_(state),
        clock_(clock),
        record_(std::move(record)),
        has_id_(has_id) {}

  // Whether this stream still has the upload.
  absl::Status CheckHeld(storage::StateTransaction& transaction) const;

  storage::StateStore& state_;
  const Clock& clock_;
  storage::UploadRecord record_;
  const bool has_id_;  // that the client knows, to go on with
  std::vector<storage::UploadPart> parts_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_UPLOAD_STAGING_H_
