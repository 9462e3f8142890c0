#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/migration.h"
#include "storage/sqlite/query.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::SizeIs;

ApiKey Key(const std::string& id, const std::string& name) {
  return {.id = id,
          .name = name,
          .role = Role::kWorker,
          .digest = std::string(64, 'd'),
          .create_time = absl::FromUnixSeconds(1000),
          .revoke_time = {}};
}

TEST(ApiKeyStore, AKeyComesBackAsItWasStored) {
  const auto store = OpenState();
  Write(*store, [](StateTransaction& transaction) {
    ASSERT_THAT(transaction.api_keys().Insert(Key("1", "ci")), IsOk());
  });
  Read(*store, [](StateTransaction& transaction) {
    const auto keys = transaction.api_keys().List();
    ASSERT_THAT(keys, IsOk());
    ASSERT_THAT(*keys, SizeIs(1));
    const ApiKey& key = keys->front();
    EXPECT_EQ(key.id, "1");
    EXPECT_EQ(key.name, "ci");
    EXPECT_EQ(key.role, Role::kWorker);
    EXPECT_EQ(key.digest, std::string(64, 'd'));
    EXPECT_EQ(key.create_time, absl::FromUnixSeconds(1000));
    EXPECT_FALSE(key.revoke_time.has_value());
  });
}

TEST(ApiKeyStore, ANameIsFreeAgainOnceItsKeyIsRevoked) {
  const auto store = OpenState();
  Write(*store, [](StateTransaction& transaction) {
    ASSERT_THAT(transaction.api_keys().Insert(Key("1", "ci")), IsOk());
    EXPECT_THAT(transaction.api_keys().Insert(Key("2", "ci")),
                HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
    const absl::Time time = absl::FromUnixSeconds(2000);
    ASSERT_THAT(transaction.api_keys().Revoke("1", time), IsOk());
    EXPECT_THAT(transaction.api_keys().Revoke("1", time),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
    EXPECT_THAT(transaction.api_keys().Insert(Key("2", "ci")), IsOk());
    EXPECT_EQ(transaction.api_keys().List()->front().revoke_time, time);
  });
}

TEST(ApiKeyStore, ADatabaseOfAnOlderBuildKeepsItsRowsAndTakesKeys) {
  test::TempDir folder;
  const std::string path = folder.File("state.db");
  {
    Schema old = StateSchema();
    old.migrations.pop_back();
    Connection connection(path, Access::kWriter, 4096);
    ASSERT_THAT(Migrate(connection, old), IsOk());
    ASSERT_THAT(Execute(connection,
                        "INSERT INTO models (name, create_time)"
                        " VALUES ('base', 1)"),
                IsOk());
  }
  EXPECT_THAT(
      OpenStateStore(path, {.migrate = false}),
      HasError(absl::StatusCode::kFailedPrecondition, "SCHEMA_TOO_OLD"));
  const auto store = OpenState(path);
  Write(*store, [](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Get("base"), IsOk());
    EXPECT_THAT(transaction.api_keys().Insert(Key("1", "ci")), IsOk());
  });
  // Beside it, as attune-server keys does while a server runs.
  const auto second = OpenStateStore(path, {.migrate = false});
  ASSERT_THAT(second, IsOk());
  Read(**second, [](StateTransaction& transaction) {
    EXPECT_THAT(*transaction.api_keys().List(), SizeIs(1));
  });
}

}  // namespace
}  // namespace attune::storage
