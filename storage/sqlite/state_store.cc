#include <memory>
#include <utility>

#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/api_key_store.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/dataset_store.h"
#include "storage/sqlite/job_store.h"
#include "storage/sqlite/model_store.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/request_store.h"
#include "storage/sqlite/sqlite_stores.h"
#include "storage/sqlite/upload_store.h"

namespace attune::storage {
namespace {

constexpr int kPageSize = 4096;

class SqliteStateTransaction : public StateTransaction {
 public:
  explicit SqliteStateTransaction(Connection& connection)
      : connection_(connection),
        datasets_(connection),
        jobs_(connection),
        models_(connection),
        requests_(connection),
        uploads_(connection),
        api_keys_(connection) {}

  DatasetStore& datasets() override { return datasets_; }
  JobStore& jobs() override { return jobs_; }
  ModelStore& models() override { return models_; }
  RequestStore& requests() override { return requests_; }
  UploadStore& uploads() override { return uploads_; }
  ApiKeyStore& api_keys() override { return api_keys_; }

  absl::StatusOr<std::vector<std::string>> FindReferencedBlobs(
      absl::Span<const std::string> digests) override {
    std::vector<std::string> referenced;
    for (const std::string& digest : digests) {
      ATTUNE_ASSIGN_OR_RETURN(
          const int64_t count,
          SelectOne(connection_, absl::InternalError("no answer"), ReadInt64,
                    "SELECT EXISTS (SELECT 1 FROM images WHERE digest = ?1)"
                    " OR EXISTS (SELECT 1 FROM tensors"
                    " WHERE blob_digest = ?1)"
                    " OR EXISTS (SELECT 1 FROM upload_blobs"
                    " WHERE digest = ?1)",
                    digest));
      if (count != 0) referenced.push_back(digest);
    }
    return referenced;
  }

  absl::StatusOr<std::vector<std::string>> ListReferencedBlobs(
      absl::string_view after, int limit) override {
    return SelectAll(connection_, ReadText,
                     "SELECT digest FROM images WHERE digest > ?1"
                     " UNION SELECT blob_digest FROM tensors"
                     " WHERE blob_digest > ?1"
                     " UNION SELECT digest FROM upload_blobs WHERE digest > ?1"
                     " ORDER BY 1 LIMIT ?2",
                     after, limit);
  }

 private:
  Connection& connection_;
  SqliteDatasetStore datasets_;
  SqliteJobStore jobs_;
  SqliteModelStore models_;
  SqliteRequestStore requests_;
  SqliteUploadStore uploads_;
  SqliteApiKeyStore api_keys_;
};

class SqliteStateStore : public StateStore {
 public:
  SqliteStateStore(std::unique_ptr<Database> database, DiskSpace* disk)
      : database_(std::move(database)), disk_(disk) {}

  absl::Status Write(
      absl::FunctionRef<absl::Status(StateTransaction&)> body) override {
    if (disk_ != nullptr) disk_->PrepareStateWrite();
    absl::Status status = database_->Write([&](Connection& connection) {
      SqliteStateTransaction transaction(connection);
      return body(transaction);
    });
    if (disk_ != nullptr && ErrorReason(status) == "DISK_FULL") {
      disk_->StateWriteFailed();
    }
    return status;
  }

  absl::Status Read(
      absl::FunctionRef<absl::Status(StateTransaction&)> body) override {
    return database_->Read([&](Connection& connection) {
      SqliteStateTransaction transaction(connection);
      return body(transaction);
    });
  }

 private:
  const std::unique_ptr<Database> database_;
  DiskSpace* const disk_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> OpenStateStore(
    const std::string& path, const SqliteOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(
      std::unique_ptr<Database> database,
      Database::Open(path, "state", kPageSize, StateSchema(), options));
  return std::make_unique<SqliteStateStore>(std::move(database), options.disk);
}

}  // namespace attune::storage
