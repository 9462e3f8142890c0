#include "storage/sqlite/blob_table.h"

#include "common/error.h"
#include "common/status_macros.h"
#include "storage/sqlite/query.h"

namespace attune::storage {
namespace {

// A blob has at most 2^20 chunks, that is 4 TiB.
constexpr int64_t kMaxChunks = int64_t{1} << 20;

int64_t ChunkId(int64_t blob, int64_t number) {
  return blob * kMaxChunks + number;
}

// Removes chunks of a blob until `budget_bytes` is used up or none is left;
// returns whether none is left.
absl::StatusOr<bool> RemoveChunks(Connection& connection, int64_t blob,
                                  int64_t& budget_bytes) {
  while (budget_bytes > 0) {
    ATTUNE_ASSIGN_OR_RETURN(
        const std::vector<int64_t> removed,
        SelectAll(connection, ReadInt64,
                  "DELETE FROM chunks WHERE id = (SELECT id FROM chunks"
                  " WHERE id >= ? AND id < ? LIMIT 1)"
                  " RETURNING length(bytes)",
                  ChunkId(blob, 0), ChunkId(blob + 1, 0)));
    if (removed.empty()) return true;
    budget_bytes -= removed.front();
  }
  return false;
}

}  // namespace

absl::StatusOr<int64_t> ReusableBytes(Connection& connection) {
  return SelectOne(connection, absl::InternalError("no count"), ReadInt64,
                   "SELECT (SELECT freelist_count FROM pragma_freelist_count)"
                   " * (SELECT page_size FROM pragma_page_size)");
}

absl::Status AdmitBlobs(Connection& connection, const DiskSpace* disk,
                        int64_t bytes) {
  if (disk == nullptr) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(const int64_t reusable, ReusableBytes(connection));
  return disk->AdmitBlobs(bytes, reusable);
}

absl::StatusOr<BlobRow> FindBlob(Connection& connection,
                                 absl::string_view digest) {
  return SelectOne(
      connection, NotFound("blob", digest),
      [](Row& row) {
        BlobRow blob;
        blob.id = row.Int64();
        blob.size_bytes = row.Int64();
        return blob;
      },
      "SELECT id, size_bytes FROM blobs WHERE digest = ?", digest);
}

absl::StatusOr<bool> TouchBlob(Connection& connection, absl::string_view digest,
                               absl::Time now) {
  ATTUNE_ASSIGN_OR_RETURN(
      const int64_t touched,
      ExecuteCounting(connection,
                      "UPDATE blobs SET put_time = ? WHERE digest = ?", now,
                      digest));
  return touched > 0;
}

absl::StatusOr<int64_t> InsertBlob(Connection& connection,
                                   const std::optional<std::string>& digest,
                                   int64_t size_bytes, absl::Time now) {
  return SelectOne(connection, absl::InternalError("no blob row"), ReadInt64,
                   "INSERT INTO blobs (digest, size_bytes, put_time)"
                   " VALUES (?, ?, ?) RETURNING id",
                   digest, size_bytes, now);
}

absl::Status FinishBlob(Connection& connection, int64_t id,
                        const std::string& digest, int64_t size_bytes,
                        absl::Time now) {
  return ExecuteOnRow(
      connection, absl::InternalError("the unfinished blob has vanished"),
      "UPDATE blobs SET digest = ?, size_bytes = ?, put_time = ? WHERE id = ?",
      digest, size_bytes, now, id);
}

absl::Status InsertChunk(Connection& connection, int64_t blob, int64_t number,
                         absl::string_view bytes) {
  if (number >= kMaxChunks) {
    return Error(absl::StatusCode::kInvalidArgument, "BLOB_TOO_LARGE",
                 "a blob may have 4 TiB");
  }
  return Execute(connection, "INSERT INTO chunks (id, bytes) VALUES (?, ?)",
                 ChunkId(blob, number), Blob{bytes});
}

absl::StatusOr<std::string> ReadChunk(Connection& connection, int64_t blob,
                                      int64_t number) {
  absl::StatusOr<std::string> bytes =
      SelectOne(connection, NotFound("chunk", ""), ReadText,
                "SELECT bytes FROM chunks WHERE id = ?", ChunkId(blob, number));
  if (absl::IsNotFound(bytes.status())) return "";
  return bytes;
}

absl::Status RemoveUnfinished(Database& database, std::vector<int64_t> blobs) {
  while (!blobs.empty()) {
    ATTUNE_RETURN_IF_ERROR(
        database.Write([&](Connection& connection) -> absl::Status {
          int64_t budget_bytes = kTransactionBytes;
          while (!blobs.empty()) {
            ATTUNE_ASSIGN_OR_RETURN(
                const bool gone,
                RemoveChunks(connection, blobs.back(), budget_bytes));
            if (!gone) break;
            ATTUNE_RETURN_IF_ERROR(Execute(
                connection, "DELETE FROM blobs WHERE id = ? AND digest IS NULL",
                blobs.back()));
            blobs.pop_back();
          }
          return absl::OkStatus();
        }));
  }
  return absl::OkStatus();
}

}  // namespace attune::storage
