#include "storage/sqlite/request_store.h"

#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "storage/sqlite/query.h"

namespace attune::storage {
namespace {

RequestRecord ReadRequest(Row& row) {
  RequestRecord request;
  request.id = row.Text();
  request.digest = row.Text();
  request.result = row.Text();
  request.time = row.Time();
  return request;
}

}  // namespace

absl::StatusOr<std::optional<RequestRecord>> SqliteRequestStore::Find(
    absl::string_view id) const {
  ATTUNE_ASSIGN_OR_RETURN(
      std::vector<RequestRecord> found,
      SelectAll(connection_, ReadRequest,
                "SELECT id, digest, result, time FROM requests WHERE id = ?",
                id));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

absl::Status SqliteRequestStore::Insert(const RequestRecord& request) {
  absl::Status status = Execute(
      connection_,
      "INSERT INTO requests (id, digest, result, time) VALUES (?, ?, ?, ?)",
      request.id, request.digest, request.result, request.time);
  return AlreadyExistsAs(std::move(status), "request", request.id);
}

absl::Status SqliteRequestStore::DeleteBefore(absl::Time time) {
  return Execute(connection_, "DELETE FROM requests WHERE time < ?", time);
}

}  // namespace attune::storage
