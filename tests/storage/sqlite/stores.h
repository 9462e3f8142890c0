// What the tests of the stores share.

#ifndef ATTUNE_TESTS_STORAGE_SQLITE_STORES_H_
#define ATTUNE_TESTS_STORAGE_SQLITE_STORES_H_

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "storage/sqlite/sqlite_stores.h"

namespace attune::storage {

inline std::unique_ptr<StateStore> OpenState(
    const std::string& path = ":memory:") {
  absl::StatusOr<std::unique_ptr<StateStore>> store = OpenStateStore(path);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// Runs `body(transaction)`, which returns void, in a transaction that commits.
template <typename Body>
void Write(StateStore& store, Body body) {
  const absl::Status status = store.Write([&](StateTransaction& transaction) {
    body(transaction);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

// As Write, on a snapshot.
template <typename Body>
void Read(StateStore& store, Body body) {
  const absl::Status status = store.Read([&](StateTransaction& transaction) {
    body(transaction);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace attune::storage

#endif  // ATTUNE_TESTS_STORAGE_SQLITE_STORES_H_
