#include "storage/state_store.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::storage {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;

Model NamedModel(const std::string& name) {
  Model model;
  model.name = name;
  return model;
}

// On a file and in memory.
class StateStoreTest : public testing::TestWithParam<bool> {
 protected:
  std::string Path() {
    return GetParam() ? folder_.File("state.db") : ":memory:";
  }

  test::TempDir folder_;
  std::unique_ptr<StateStore> store_ = OpenState(Path());
};

INSTANTIATE_TEST_SUITE_P(Kinds, StateStoreTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "File" : "Memory";
                         });

TEST_P(StateStoreTest, AFailedBodyRollsBack) {
  EXPECT_EQ(store_->Write([](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Insert(NamedModel("a")), IsOk());
    return absl::AbortedError("no");
  }),
            absl::AbortedError("no"));
  Read(*store_, [](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Get("a"),
                HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
  });
}

TEST_P(StateStoreTest, AReaderCannotWrite) {
  Read(*store_, [](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Insert(NamedModel("a")),
                HasError(absl::StatusCode::kFailedPrecondition, "READ_ONLY"));
  });
  Write(*store_, [](StateTransaction& transaction) {
    EXPECT_THAT(transaction.models().Insert(NamedModel("a")), IsOk());
  });
}

TEST_P(StateStoreTest, ARequestIsFoundByItsId) {
  const RequestRecord request = {"id-1", "digest", "job-1",
                                 absl::FromUnixSeconds(100)};
  Write(*store_, [&](StateTransaction& transaction) {
    EXPECT_THAT(transaction.requests().Insert(request), IsOk());
    EXPECT_THAT(transaction.requests().Insert(request),
                HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
    auto found = transaction.requests().Find("id-1");
    ASSERT_THAT(found, IsOk());
    ASSERT_TRUE(found->has_value());
    EXPECT_EQ((*found)->digest, "digest");
    EXPECT_EQ((*found)->result, "job-1");
    EXPECT_EQ((*found)->time, request.time);
    EXPECT_FALSE(transaction.requests().Find("id-2")->has_value());
  });
}

TEST_P(StateStoreTest, RequestsBeforeATimeAreDeleted) {
  Write(*store_, [&](StateTransaction& transaction) {
    for (int second : {1, 2, 3}) {
      EXPECT_THAT(
          transaction.requests().Insert(
              {std::to_string(second), "", "", absl::FromUnixSeconds(second)}),
          IsOk());
    }
    EXPECT_THAT(transaction.requests().DeleteBefore(absl::FromUnixSeconds(2)),
                IsOk());
    EXPECT_FALSE(transaction.requests().Find("1")->has_value());
    EXPECT_TRUE(transaction.requests().Find("2")->has_value());
    EXPECT_TRUE(transaction.requests().Find("3")->has_value());
  });
}

}  // namespace
}  // namespace attune::storage
