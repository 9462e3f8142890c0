#include "storage/sqlite/upload_store.h"

#include <set>
#include <utility>

#include "common/status_macros.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/record_json.h"

namespace attune::storage {
namespace {

UploadRecord ReadUpload(Row& row) {
  UploadRecord upload;
  upload.id = row.Text();
  upload.target = row.Text();
  upload.holder = row.Text();
  upload.update_time = row.Time();
  return upload;
}

std::set<std::string> BlobsOf(const UploadPart& part) {
  std::set<std::string> digests;
  for (const Example& example : part.examples) {
    digests.insert(example.image_digest);
    digests.insert(example.clean_image_digest);
  }
  for (const TensorEntry& tensor : part.tensors) {
    digests.insert(tensor.blob_digest);
  }
  digests.insert(part.header_digest);
  digests.erase("");
  return digests;
}

}  // namespace

absl::StatusOr<std::optional<UploadRecord>> SqliteUploadStore::Find(
    absl::string_view id) const {
  ATTUNE_ASSIGN_OR_RETURN(
      std::vector<UploadRecord> found,
      SelectAll(connection_, ReadUpload,
                "SELECT id, target, holder, update_time FROM uploads"
                " WHERE id = ?",
                id));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

absl::Status SqliteUploadStore::Put(const UploadRecord& upload) {
  return Execute(connection_,
                 "INSERT INTO uploads (id, target, holder, update_time)"
                 " VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                 " target = excluded.target, holder = excluded.holder,"
                 " update_time = excluded.update_time",
                 upload.id, upload.target, upload.holder, upload.update_time);
}

absl::Status SqliteUploadStore::AddPart(absl::string_view id,
                                        const UploadPart& part) {
  for (const std::string& digest : BlobsOf(part)) {
    ATTUNE_RETURN_IF_ERROR(Execute(
        connection_,
        "INSERT OR IGNORE INTO upload_blobs (digest, upload) VALUES (?, ?)",
        digest, id));
  }
  try {
    return Execute(connection_,
                   "INSERT INTO upload_parts (upload, end_offset, content)"
                   " VALUES (?, ?, ?)",
                   id, part.end_offset, ToJson(part));
  } catch (...) {
    return CurrentExceptionStatus();
  }
}

absl::StatusOr<std::vector<UploadPart>> SqliteUploadStore::ListParts(
    absl::string_view id) const {
  return SelectAll(
      connection_,
      [](Row& row) {
        const int64_t end_offset = row.Int64();
        UploadPart part = FromJson<UploadPart>(row.Text());
        part.end_offset = end_offset;
        return part;
      },
      "SELECT end_offset, content FROM upload_parts WHERE upload = ?"
      " ORDER BY end_offset",
      id);
}

absl::StatusOr<int64_t> SqliteUploadStore::EndOffset(
    absl::string_view id) const {
  return SelectOne(connection_, absl::InternalError("no maximum"), ReadInt64,
                   "SELECT coalesce(max(end_offset), 0) FROM upload_parts"
                   " WHERE upload = ?",
                   id);
}

absl::Status SqliteUploadStore::DeletePartsAfter(absl::string_view id,
                                                 int64_t offset) {
  return Execute(connection_,
                 "DELETE FROM upload_parts WHERE upload = ? AND end_offset > ?",
                 id, offset);
}

absl::Status SqliteUploadStore::Delete(absl::string_view id) {
  return Execute(connection_, "DELETE FROM uploads WHERE id = ?", id);
}

absl::Status SqliteUploadStore::DeleteOfTarget(absl::string_view target) {
  return Execute(connection_, "DELETE FROM uploads WHERE target = ?", target);
}

absl::StatusOr<int64_t> SqliteUploadStore::DeleteBefore(absl::Time time) {
  return ExecuteCounting(connection_,
                         "DELETE FROM uploads WHERE update_time < ?", time);
}

}  // namespace attune::storage
