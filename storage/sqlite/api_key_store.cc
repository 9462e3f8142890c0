#include "storage/sqlite/api_key_store.h"

#include <utility>

#include "common/error.h"
#include "storage/sqlite/query.h"

namespace attune::storage {
namespace {

ApiKey ReadKey(Row& row) {
  ApiKey key;
  key.id = row.Text();
  key.name = row.Text();
  key.role = row.Enum<Role>();
  key.digest = row.Text();
  key.create_time = row.Time();
  key.revoke_time = row.OptionalTime();
  return key;
}

}  // namespace

absl::Status SqliteApiKeyStore::Insert(const ApiKey& key) {
  absl::Status status = Execute(
      connection_,
      "INSERT INTO api_keys (id, name, role, digest, create_time,"
      " revoke_time) VALUES (?, ?, ?, ?, ?, ?)",
      key.id, key.name, key.role, key.digest, key.create_time, key.revoke_time);
  return AlreadyExistsAs(std::move(status), "API key", key.name);
}

absl::StatusOr<std::vector<ApiKey>> SqliteApiKeyStore::List() const {
  return SelectAll(connection_, ReadKey,
                   "SELECT id, name, role, digest, create_time, revoke_time"
                   " FROM api_keys ORDER BY create_time, id");
}

absl::Status SqliteApiKeyStore::Revoke(absl::string_view id, absl::Time time) {
  return ExecuteOnRow(connection_, NotFound("API key", id),
                      "UPDATE api_keys SET revoke_time = ?"
                      " WHERE id = ? AND revoke_time IS NULL",
                      time, id);
}

}  // namespace attune::storage
