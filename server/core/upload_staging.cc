#include "server/core/upload_staging.h"

#include <optional>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/status_macros.h"
#include "server/core/idempotency.h"

namespace attune::core {
namespace {

using storage::StateTransaction;
using storage::UploadPart;
using storage::UploadRecord;

absl::Status Reused(absl::string_view id) {
  return Error(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
               absl::StrCat("request_id ", id,
                            " came with another request before: use a new "
                            "one for a new request"));
}

// Before the result in a record. No name has a space in it.
std::string RecordPrefix(absl::string_view target) {
  return absl::StrCat(target, " ");
}

// The record of upload `id`, if it has begun.
absl::StatusOr<std::optional<UploadRecord>> FindRecord(
    StateTransaction& transaction, absl::string_view id,
    absl::string_view target) {
  ATTUNE_ASSIGN_OR_RETURN(std::optional<UploadRecord> record,
                          transaction.uploads().Find(id));
  if (record.has_value() && record->target != target) return Reused(id);
  return record;
}

absl::Status WrongOffset(int64_t offset, int64_t end) {
  return InvalidField(
      "header.offset",
      absl::StrCat("must be where a stored part ends, such as 0 or ", end,
                   ", and not ", offset, ": ask for the upload's offset"));
}

}  // namespace

absl::StatusOr<UploadProgress> FindUpload(StateTransaction& transaction,
                                          absl::string_view id,
                                          absl::string_view target) {
  if (id.empty()) return InvalidField("request_id", "must name the upload");
  ATTUNE_RETURN_IF_ERROR(ValidateRequestId(id));
  UploadProgress progress;
  ATTUNE_ASSIGN_OR_RETURN(const auto applied, transaction.requests().Find(id));
  if (applied.has_value()) {
    absl::string_view result = applied->result;
    if (!absl::ConsumePrefix(&result, RecordPrefix(target))) return Reused(id);
    progress.committed = true;
    progress.result = std::string(result);
    return progress;
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<UploadRecord> record,
                          FindRecord(transaction, id, target));
  if (record.has_value()) {
    ATTUNE_ASSIGN_OR_RETURN(progress.offset,
                            transaction.uploads().EndOffset(id));
  }
  return progress;
}

absl::string_view ResultOfRecord(absl::string_view record) {
  // Without a space: of an older build.
  return record.substr(record.rfind(' ') + 1);
}

absl::StatusOr<std::unique_ptr<UploadStaging>> UploadStaging::Begin(
    storage::StateStore& state, const Clock& clock, absl::string_view id,
    absl::string_view target, int64_t offset) {
  ATTUNE_RETURN_IF_ERROR(ValidateRequestId(id));
  auto staging = absl::WrapUnique(
      new UploadStaging(state, clock,
                        {.id = id.empty() ? NewUuid() : std::string(id),
                         .target = std::string(target),
                         .holder = NewUuid(),
                         .update_time = clock.WallNow()},
                        /*has_id=*/!id.empty()));
  ATTUNE_RETURN_IF_ERROR(
      state.Write([&](StateTransaction& transaction) -> absl::Status {
        // An earlier stream may have committed while this one was on its way:
        // its client asks again and hears so.
        ATTUNE_ASSIGN_OR_RETURN(const auto applied, transaction.requests().Find(
                                                        staging->record_.id));
        if (applied.has_value() && offset != 0) {
          return Error(absl::StatusCode::kUnavailable, "UPLOAD_COMMITTED",
                       absl::StrCat("upload ", id,
                                    " was committed meanwhile: ask for its "
                                    "offset"));
        }
        storage::UploadStore& uploads = transaction.uploads();
        ATTUNE_RETURN_IF_ERROR(
            FindRecord(transaction, staging->record_.id, target).status());
        ATTUNE_RETURN_IF_ERROR(uploads.Put(staging->record_));
        ATTUNE_ASSIGN_OR_RETURN(const int64_t end,
                                uploads.EndOffset(staging->record_.id));
        ATTUNE_RETURN_IF_ERROR(
            uploads.DeletePartsAfter(staging->record_.id, offset));
        ATTUNE_ASSIGN_OR_RETURN(staging->parts_,
                                uploads.ListParts(staging->record_.id));
        const int64_t kept =
            staging->parts_.empty() ? 0 : staging->parts_.back().end_offset;
        return kept == offset ? absl::OkStatus() : WrongOffset(offset, end);
      }));
  return staging;
}

UploadStaging::~UploadStaging() {
  if (has_id_) return;
  // Committed or not; what cannot be forgotten now is forgotten at the end of
  // its lifetime.
  state_
      .Write([&](StateTransaction& transaction) {
        return transaction.uploads().Delete(record_.id);
      })
      .IgnoreError();
}

absl::Status UploadStaging::CheckHeld(StateTransaction& transaction) const {
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<UploadRecord> record,
                          FindRecord(transaction, record_.id, record_.target));
  if (record.has_value() && record->holder == record_.holder) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kAborted, "UPLOAD_TAKEN_OVER",
               absl::StrCat("upload ", record_.id,
                            " was begun again, or given up: ask for its "
                            "offset"));
}

absl::Status UploadStaging::Add(const UploadPart& part) {
  return state_.Write([&](StateTransaction& transaction) -> absl::Status {
    ATTUNE_RETURN_IF_ERROR(CheckHeld(transaction));
    record_.update_time = clock_.WallNow();
    ATTUNE_RETURN_IF_ERROR(transaction.uploads().Put(record_));
    return transaction.uploads().AddPart(record_.id, part);
  });
}

std::string UploadStaging::Record(absl::string_view result) const {
  return absl::StrCat(RecordPrefix(record_.target), result);
}

void UploadStaging::GiveUp(const absl::Status& why) const {
  switch (why.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      break;
    default:
      // Other shortages of room pass.
      if (ErrorReason(why) != "UPLOAD_TOO_LARGE") return;
  }
  // What cannot be forgotten now is forgotten at the end of its lifetime.
  state_
      .Write([&](StateTransaction& transaction) { return Remove(transaction); })
      .IgnoreError();
}

absl::Status UploadStaging::Remove(StateTransaction& transaction) const {
  ATTUNE_RETURN_IF_ERROR(CheckHeld(transaction));
  return transaction.uploads().Delete(record_.id);
}

absl::Status UploadStaging::RemoveRepeated(
    StateTransaction& transaction) const {
  const absl::Status removed = Remove(transaction);
  return absl::IsAborted(removed) ? absl::OkStatus() : removed;
}

}  // namespace attune::core
