#include <sys/stat.h>

#include <optional>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "storage/file_lock.h"
#include "storage/sqlite/blob_reader.h"
#include "storage/sqlite/blob_table.h"
#include "storage/sqlite/blob_writer.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/put_clock.h"
#include "storage/sqlite/query.h"
#include "storage/sqlite/sqlite_stores.h"

namespace attune::storage {
namespace {

constexpr int kPageSize = 32 << 10;
constexpr int kGarbageBatch = 500;

// When a blob was last put; `otherwise` in an empty store.
absl::StatusOr<absl::Time> LastPut(Database& database, absl::Time otherwise) {
  std::optional<absl::Time> last;
  ATTUNE_RETURN_IF_ERROR(
      database.Read([&](Connection& connection) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            last, SelectOne(
                      connection, absl::InternalError("no maximum"),
                      [](Row& row) { return row.OptionalTime(); },
                      "SELECT max(put_time) FROM blobs"));
        return absl::OkStatus();
      }));
  return last.value_or(otherwise);
}

class SqliteBlobStore : public BlobStore {
 public:
  SqliteBlobStore(std::unique_ptr<Database> database, std::string lock_path,
                  PutClock clock, const DiskSpace* disk)
      : database_(std::move(database)),
        lock_path_(std::move(lock_path)),
        clock_(clock),
        disk_(disk) {}

  absl::Status RemoveLeftovers();

  absl::Status CheckRoom() const override;
  absl::Status Put(absl::Span<const BlobView> blobs) override;
  std::unique_ptr<BlobWriter> NewWriter() override {
    return std::make_unique<SqliteBlobWriter>(*database_, clock_, disk_);
  }
  std::unique_ptr<BlobReader> NewReader(
      absl::string_view digest) const override {
    return std::make_unique<SqliteBlobReader>(*database_, digest);
  }
  absl::StatusOr<std::vector<std::string>> FindMissing(
      absl::Span<const std::string> digests) const override;
  absl::StatusOr<int64_t> Size(absl::string_view digest) const override;
  absl::StatusOr<int64_t> TotalBytes() const override;
  absl::StatusOr<int64_t> CollectGarbage(
      absl::Duration grace,
      absl::FunctionRef<absl::StatusOr<std::vector<std::string>>(
          absl::Span<const std::string>)>
          find_referenced) override;

 private:
  // One transaction's worth.
  absl::Status PutBatch(absl::Span<const BlobView> blobs);
  absl::Status PutLarge(const BlobView& blob);
  absl::StatusOr<int64_t> DeleteUnreferenced(
      absl::Time before, absl::Span<const std::string> digests,
      const std::unordered_set<std::string>& referenced);

  const std::unique_ptr<Database> database_;
  // Held by a collection, and by a backup, which copies blobs after the state
  // that names them; "": there is no other process.
  const std::string lock_path_;
  const PutClock clock_;
  const DiskSpace* const disk_;
};

absl::Status SqliteBlobStore::RemoveLeftovers() {
  std::vector<int64_t> unfinished;
  ATTUNE_RETURN_IF_ERROR(
      database_->Read([&](Connection& connection) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            unfinished, SelectAll(connection, ReadInt64,
                                  "SELECT id FROM blobs WHERE digest IS NULL"));
        return absl::OkStatus();
      }));
  return RemoveUnfinished(*database_, std::move(unfinished));
}

absl::Status SqliteBlobStore::CheckRoom() const {
  if (disk_ == nullptr) return absl::OkStatus();
  int64_t reusable = 0;
  ATTUNE_RETURN_IF_ERROR(
      database_->Read([&](Connection& connection) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(reusable, ReusableBytes(connection));
        return absl::OkStatus();
      }));
  return disk_->AdmitUpload(reusable);
}

absl::Status SqliteBlobStore::Put(absl::Span<const BlobView> blobs) {
  while (!blobs.empty()) {
    size_t count = 0;
    int64_t bytes = 0;
    while (count < blobs.size()) {
      bytes += static_cast<int64_t>(blobs[count].bytes.size());
      if (bytes > kTransactionBytes) break;
      ++count;
    }
    if (count == 0) {
      ATTUNE_RETURN_IF_ERROR(PutLarge(blobs.front()));
      blobs.remove_prefix(1);
    } else {
      ATTUNE_RETURN_IF_ERROR(PutBatch(blobs.subspan(0, count)));
      blobs.remove_prefix(count);
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteBlobStore::PutBatch(absl::Span<const BlobView> blobs) {
  const absl::Time now = clock_.Now();
  int64_t bytes = 0;
  for (const BlobView& blob : blobs) {
    bytes += static_cast<int64_t>(blob.bytes.size());
  }
  return database_->Write([&](Connection& connection) -> absl::Status {
    ATTUNE_RETURN_IF_ERROR(AdmitBlobs(connection, disk_, bytes));
    for (const BlobView& blob : blobs) {
      ATTUNE_ASSIGN_OR_RETURN(const bool there,
                              TouchBlob(connection, blob.digest, now));
      if (there) continue;
      ATTUNE_ASSIGN_OR_RETURN(
          const int64_t id,
          InsertBlob(connection, blob.digest,
                     static_cast<int64_t>(blob.bytes.size()), now));
      absl::string_view rest = blob.bytes;
      for (int64_t number = 0; !rest.empty(); ++number) {
        const absl::string_view chunk = rest.substr(0, kChunkBytes);
        ATTUNE_RETURN_IF_ERROR(InsertChunk(connection, id, number, chunk));
        rest.remove_prefix(chunk.size());
      }
    }
    return absl::OkStatus();
  });
}

absl::Status SqliteBlobStore::PutLarge(const BlobView& blob) {
  SqliteBlobWriter writer(*database_, clock_, disk_);
  ATTUNE_RETURN_IF_ERROR(writer.Append(blob.bytes));
  return writer.Commit(blob.digest).status();
}

absl::StatusOr<std::vector<std::string>> SqliteBlobStore::FindMissing(
    absl::Span<const std::string> digests) const {
  std::vector<std::string> missing;
  ATTUNE_RETURN_IF_ERROR(
      database_->Read([&](Connection& connection) -> absl::Status {
        for (const std::string& digest : digests) {
          const absl::Status status = FindBlob(connection, digest).status();
          if (absl::IsNotFound(status)) {
            missing.push_back(digest);
          } else if (!status.ok()) {
            return status;
          }
        }
        return absl::OkStatus();
      }));
  return missing;
}

absl::StatusOr<int64_t> SqliteBlobStore::Size(absl::string_view digest) const {
  BlobRow blob;
  ATTUNE_RETURN_IF_ERROR(
      database_->Read([&](Connection& connection) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(blob, FindBlob(connection, digest));
        return absl::OkStatus();
      }));
  return blob.size_bytes;
}

absl::StatusOr<int64_t> SqliteBlobStore::TotalBytes() const {
  int64_t total = 0;
  ATTUNE_RETURN_IF_ERROR(
      database_->Read([&](Connection& connection) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            total,
            SelectOne(connection, absl::InternalError("no sum"), ReadInt64,
                      "SELECT coalesce(sum(size_bytes), 0) FROM blobs"
                      " WHERE digest IS NOT NULL"));
        return absl::OkStatus();
      }));
  return total;
}

absl::StatusOr<int64_t> SqliteBlobStore::CollectGarbage(
    absl::Duration grace,
    absl::FunctionRef<
        absl::StatusOr<std::vector<std::string>>(absl::Span<const std::string>)>
        find_referenced) {
  std::unique_ptr<FileLock> lock;
  if (!lock_path_.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(
        lock, FileLock::Acquire(lock_path_, FileLock::Mode::kExclusive));
  }
  const absl::Time before = clock_.Now() - grace;
  int64_t deleted = 0;
  std::string last;
  while (true) {
    std::vector<std::string> digests;
    ATTUNE_RETURN_IF_ERROR(
        database_->Read([&](Connection& connection) -> absl::Status {
          ATTUNE_ASSIGN_OR_RETURN(
              digests, SelectAll(connection, ReadText,
                                 "SELECT digest FROM blobs WHERE digest > ?"
                                 " AND put_time < ? ORDER BY digest LIMIT ?",
                                 last, before, kGarbageBatch));
          return absl::OkStatus();
        }));
    if (digests.empty()) return deleted;
    last = digests.back();
    ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> referenced,
                            find_referenced(digests));
    ATTUNE_ASSIGN_OR_RETURN(
        const int64_t count,
        DeleteUnreferenced(before, digests,
                           {referenced.begin(), referenced.end()}));
    deleted += count;
  }
}

absl::StatusOr<int64_t> SqliteBlobStore::DeleteUnreferenced(
    absl::Time before, absl::Span<const std::string> digests,
    const std::unordered_set<std::string>& referenced) {
  // Takes their names away first, so that they are gone at once and all their
  // chunks need not go in one transaction.
  std::vector<int64_t> unnamed;
  ATTUNE_RETURN_IF_ERROR(
      database_->Write([&](Connection& connection) -> absl::Status {
        for (const std::string& digest : digests) {
          if (referenced.count(digest) > 0) continue;
          // The time is asked again: a Put may have come in between.
          ATTUNE_RETURN_IF_ERROR(ForEachRow(
              connection, [&](Row& row) { unnamed.push_back(row.Int64()); },
              "UPDATE blobs SET digest = NULL WHERE digest = ?"
              " AND put_time < ? RETURNING id",
              digest, before));
        }
        return absl::OkStatus();
      }));
  const int64_t count = static_cast<int64_t>(unnamed.size());
  ATTUNE_RETURN_IF_ERROR(RemoveUnfinished(*database_, std::move(unnamed)));
  return count;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStoreForReading(
    const std::string& path) {
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                          Database::OpenForReading(path, BlobSchema()));
  // Nothing is put: the time does not matter.
  return std::make_unique<SqliteBlobStore>(
      std::move(database), "", PutClock(Clock::Real(), absl::UnixEpoch()),
      /*disk=*/nullptr);
}

absl::StatusOr<std::unique_ptr<BlobStore>> OpenBlobStore(
    const std::string& path, const SqliteOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(
      std::unique_ptr<Database> database,
      Database::Open(path, "blobs", kPageSize, BlobSchema(), options));
  ATTUNE_ASSIGN_OR_RETURN(const absl::Time last_put,
                          LastPut(*database, options.clock->WallNow()));
  auto store = std::make_unique<SqliteBlobStore>(
      std::move(database), path == ":memory:" ? "" : BlobLockPath(path),
      PutClock(*options.clock, last_put), options.disk);
  ATTUNE_RETURN_IF_ERROR(store->RemoveLeftovers());
  return store;
}

std::string BlobLockPath(const std::string& path) {
  return absl::StrCat(path, ".lock");
}

int64_t WalBytes(const std::string& path) {
  struct stat information;
  if (stat(absl::StrCat(path, "-wal").c_str(), &information) != 0) return 0;
  return information.st_size;
}

}  // namespace attune::storage
