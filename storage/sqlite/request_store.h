#ifndef ATTUNE_STORAGE_SQLITE_REQUEST_STORE_H_
#define ATTUNE_STORAGE_SQLITE_REQUEST_STORE_H_

#include <optional>

#include "storage/sqlite/connection.h"
#include "storage/state_store.h"

namespace attune::storage {

// The table requests in the transaction that runs on `connection`.
class SqliteRequestStore : public RequestStore {
 public:
  explicit SqliteRequestStore(Connection& connection)
      : connection_(connection) {}

  absl::StatusOr<std::optional<RequestRecord>> Find(
      absl::string_view id) const override;
  absl::Status Insert(const RequestRecord& request) override;
  absl::Status DeleteBefore(absl::Time time) override;

 private:
  Connection& connection_;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_SQLITE_REQUEST_STORE_H_
