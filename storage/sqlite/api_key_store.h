#ifndef ATTUNE_STORAGE_SQLITE_API_KEY_STORE_H_
#define ATTUNE_STORAGE_SQLITE_API_KEY_STORE_H_

#include <vector>

#include "storage/sqlite/connection.h"
#include "storage/state_store.h"

namespace attune::storage {

// The table api_keys in the transaction that runs on `connection`.
class SqliteApiKeyStore : public ApiKeyStore {
 public:
  explicit SqliteApiKeyStore(Connection& connection)
      : connection_(connection) {}

  absl::Status Insert(const ApiKey& key) override;
  absl::StatusOr<std::vector<ApiKey>> List() const override;
  absl::Status Revoke(absl::string_view id, absl::Time time) override;

 private:
  Connection& connection_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_API_KEY_STORE_H_
