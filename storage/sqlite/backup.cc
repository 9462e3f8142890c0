#include "storage/sqlite/backup.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "storage/data_dir_lock.h"
#include "storage/file_lock.h"
#include "storage/files.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/sqlite_stores.h"

namespace attune::storage {
namespace {

constexpr char kState[] = "state.db";
constexpr char kBlobs[] = "blobs.db";
// Small blobs share a transaction of this size.
constexpr int64_t kBatchBytes = int64_t{16} << 20;

std::string In(const std::string& folder, absl::string_view name) {
  return absl::StrCat(folder, "/", name);
}

// Makes an empty folder with the mark in it.
absl::Status BeginFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && !std::filesystem::is_empty(folder, error) && !error) {
    return Error(absl::StatusCode::kFailedPrecondition, "FOLDER_NOT_EMPTY",
                 absl::StrCat(folder, " is not empty: name a new folder"));
  }
  if (error) {
    return ErrnoStatus(error.value(), absl::StrCat("cannot make ", folder));
  }
  std::ofstream(In(folder, kIncompleteMark)) << "this copy is not complete\n";
  ATTUNE_RETURN_IF_ERROR(SyncPath(In(folder, kIncompleteMark)));
  return SyncPath(folder);
}

absl::Status FinishFolder(const std::string& folder) {
  ATTUNE_RETURN_IF_ERROR(SyncPath(folder));
  std::error_code error;
  std::filesystem::remove(In(folder, kIncompleteMark), error);
  if (error) {
    return ErrnoStatus(error.value(), absl::StrCat("cannot finish ", folder));
  }
  return SyncPath(folder);
}

void ClearFolder(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder, ignored)) {
    std::filesystem::remove_all(entry.path(), ignored);
  }
}

// Copies blobs one after another, small ones in batches.
class BlobCopier {
 public:
  BlobCopier(const BlobStore& from, BlobStore& to) : from_(from), to_(to) {}

  absl::Status Copy(const std::string& digest) {
    ATTUNE_ASSIGN_OR_RETURN(const int64_t size, from_.Size(digest));
    ++totals_.count;
    totals_.bytes += size;
    if (size > kBatchBytes) return CopyLarge(digest);
    ATTUNE_ASSIGN_OR_RETURN(std::string bytes, from_.ReadAll(digest));
    batch_.emplace_back(digest, std::move(bytes));
    batch_bytes_ += size;
    return batch_bytes_ < kBatchBytes ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    std::vector<BlobView> views;
    for (const auto& [digest, bytes] : batch_) views.push_back({digest, bytes});
    ATTUNE_RETURN_IF_ERROR(to_.Put(views));
    batch_.clear();
    batch_bytes_ = 0;
    return absl::OkStatus();
  }

  const BlobTotals& totals() const { return totals_; }

 private:
  absl::Status CopyLarge(const std::string& digest) {
    const std::unique_ptr<BlobWriter> writer = to_.NewWriter();
    ATTUNE_RETURN_IF_ERROR(from_.Read(digest, [&](absl::string_view piece) {
      return writer->Append(piece);
    }));
    return writer->Commit(digest).status();
  }

  const BlobStore& from_;
  BlobStore& to_;
  std::vector<std::pair<std::string, std::string>> batch_;
  int64_t batch_bytes_ = 0;
  BlobTotals totals_;
};

absl::StatusOr<BlobTotals> CopyStores(const std::string& data_dir,
                                      const std::string& destination) {
  ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<BlobStore> from,
                          OpenBlobStoreForReading(In(data_dir, kBlobs)));
  // The state first: its blobs were there before it named them, and nothing is
  // deleted while the lock is held.
  ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> no_collection,
                          FileLock::Acquire(BlobLockPath(In(data_dir, kBlobs)),
                                            FileLock::Mode::kShared));
  {
    ATTUNE_ASSIGN_OR_RETURN(
        const std::unique_ptr<Database> state,
        Database::OpenForReading(In(data_dir, kState), StateSchema()));
    ATTUNE_RETURN_IF_ERROR(state->Copy(In(destination, kState)));
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<StateStore> state,
                          OpenStateStore(In(destination, kState)));
  ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<BlobStore> to,
                          OpenBlobStore(In(destination, kBlobs)));
  BlobCopier copier(*from, *to);
  ATTUNE_RETURN_IF_ERROR(ForEachReferencedBlob(
      *state, [&](absl::Span<const std::string> digests) -> absl::Status {
        for (const std::string& digest : digests) {
          ATTUNE_RETURN_IF_ERROR(copier.Copy(digest));
        }
        return absl::OkStatus();
      }));
  ATTUNE_RETURN_IF_ERROR(copier.Flush());
  return copier.totals();
}

absl::StatusOr<BlobTotals> CopyAndVerify(const std::string& source,
                                         const std::string& data_dir) {
  for (const char* name : {kState, kBlobs}) {
    ATTUNE_RETURN_IF_ERROR(CopyDurably(In(source, name), In(data_dir, name)));
    // A server that was killed has left its log beside the database.
    const std::string log = absl::StrCat(name, "-wal");
    std::error_code error;
    if (std::filesystem::exists(In(source, log), error)) {
      ATTUNE_RETURN_IF_ERROR(CopyDurably(In(source, log), In(data_dir, log)));
    }
  }
  SqliteOptions options;
  options.check = IntegrityCheck::kFull;
  ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<StateStore> state,
                          OpenStateStore(In(data_dir, kState), options));
  ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<BlobStore> blobs,
                          OpenBlobStore(In(data_dir, kBlobs), options));
  return VerifyBlobs(*state, *blobs);
}

}  // namespace

absl::Status CheckComplete(const std::string& folder) {
  std::error_code error;
  if (!std::filesystem::exists(In(folder, kIncompleteMark), error)) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kFailedPrecondition, "INCOMPLETE_COPY",
               absl::StrCat(folder,
                            " is a copy that was cut off: remove it and make "
                            "it again"));
}

absl::StatusOr<BlobTotals> BackUp(const std::string& data_dir,
                                  const std::string& destination) {
  ATTUNE_RETURN_IF_ERROR(CheckComplete(data_dir));
  for (const char* name : {kState, kBlobs}) {
    std::error_code error;
    if (!std::filesystem::exists(In(data_dir, name), error)) {
      return NotFound("file", In(data_dir, name));
    }
  }
  ATTUNE_RETURN_IF_ERROR(BeginFolder(destination));
  auto clear = absl::MakeCleanup([&] { ClearFolder(destination); });
  ATTUNE_ASSIGN_OR_RETURN(const BlobTotals totals,
                          CopyStores(data_dir, destination));
  std::error_code ignored;
  std::filesystem::remove(BlobLockPath(In(destination, kBlobs)), ignored);
  ATTUNE_RETURN_IF_ERROR(FinishFolder(destination));
  std::move(clear).Cancel();
  return totals;
}

absl::StatusOr<BlobTotals> Restore(const std::string& source,
                                   const std::string& data_dir) {
  ATTUNE_RETURN_IF_ERROR(CheckComplete(source));
  for (const char* name : {kState, kBlobs}) {
    std::error_code error;
    if (!std::filesystem::exists(In(source, name), error)) {
      return NotFound("file", In(source, name));
    }
  }
  ATTUNE_RETURN_IF_ERROR(BeginFolder(data_dir));
  auto clear = absl::MakeCleanup([&] { ClearFolder(data_dir); });
  ATTUNE_ASSIGN_OR_RETURN(const std::unique_ptr<DataDirLock> lock,
                          DataDirLock::Acquire(data_dir));
  ATTUNE_ASSIGN_OR_RETURN(const BlobTotals totals,
                          CopyAndVerify(source, data_dir));
  ATTUNE_RETURN_IF_ERROR(FinishFolder(data_dir));
  std::move(clear).Cancel();
  return totals;
}

}  // namespace attune::storage
