#ifndef ATTUNE_STORAGE_SQLITE_UPLOAD_STORE_H_
#define ATTUNE_STORAGE_SQLITE_UPLOAD_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "storage/sqlite/connection.h"
#include "storage/upload_store.h"

namespace attune::storage {

// The tables uploads, upload_parts and upload_blobs in the transaction that
// runs on `connection`.
class SqliteUploadStore : public UploadStore {
 public:
  explicit SqliteUploadStore(Connection& connection)
      : connection_(connection) {}

  absl::StatusOr<std::optional<UploadRecord>> Find(
      absl::string_view id) const override;
  absl::Status Put(const UploadRecord& upload) override;
  absl::Status AddPart(absl::string_view id, const UploadPart& part) override;
  absl::StatusOr<std::vector<UploadPart>> ListParts(
      absl::string_view id) const override;
  absl::StatusOr<int64_t> EndOffset(absl::string_view id) const override;
  absl::Status DeletePartsAfter(absl::string_view id, int64_t offset) override;
  absl::Status Delete(absl::string_view id) override;
  absl::Status DeleteOfTarget(absl::string_view target) override;
  absl::StatusOr<int64_t> DeleteBefore(absl::Time time) override;

 private:
  Connection& connection_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_UPLOAD_STORE_H_
