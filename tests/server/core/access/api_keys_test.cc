#include "server/core/access/api_keys.h"

#include <memory>
#include <string>

#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/stores.h"
#include "tests/test_util/status_matchers.h"

namespace attune::core {
namespace {

using ::attune::storage::Role;
using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

class ApiKeysTest : public testing::Test {
 protected:
  std::string Create(const std::string& name, Role role = Role::kUser) {
    absl::StatusOr<std::string> key = CreateApiKey(*store_, name, role, kNow);
    EXPECT_THAT(key, IsOk());
    EXPECT_THAT(keys_.Refresh(*store_), IsOk());
    return key.value_or("");
  }

  const std::unique_ptr<storage::StateStore> store_ = storage::OpenState();
  ApiKeys keys_;
};

TEST_F(ApiKeysTest, AKeyIsFoundByItsText) {
  const std::string text = Create("ci", Role::kWorker);
  Create("other");
  const auto found = keys_.Find(text);
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->name, "ci");
  EXPECT_EQ(found->role, Role::kWorker);
  EXPECT_THAT(keys_.Check(found->id), IsOk());
}

TEST_F(ApiKeysTest, KeysHave256RandomBitsAndOnlyTheirDigestIsStored) {
  const std::string a = Create("a");
  const std::string b = Create("b");
  EXPECT_EQ(a.size(), std::string("attune_").size() + 12 + 1 + 64);
  EXPECT_NE(a.substr(20), b.substr(20));
  const auto stored = ListApiKeys(*store_);
  ASSERT_THAT(stored, IsOk());
  // Made at the same time, so in the order of their random ids.
  EXPECT_THAT(*stored, UnorderedElementsAre(
                           Field(&storage::ApiKey::digest, Sha256Hex(a)),
                           Field(&storage::ApiKey::digest, Sha256Hex(b))));
}

TEST_F(ApiKeysTest, AnotherTextIsInvalidAndNotShown) {
  const std::string text = Create("ci");
  std::string wrong = text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const std::string& attempt :
       {std::string(), wrong, text + "0", text.substr(0, text.size() - 1),
        text.substr(7), "attune_" + std::string(12, '0') + text.substr(19),
        std::string("secret"), std::string(100'000, 'x')}) {
    const auto found = keys_.Find(attempt);
    EXPECT_THAT(found, HasError(kUnauthenticated, "KEY_INVALID"));
    if (!attempt.empty()) {
      EXPECT_THAT(std::string(found.status().message()),
                  Not(HasSubstr(attempt)));
    }
  }
}

TEST_F(ApiKeysTest, ARevokedKeyIsRefusedOnceTheKeysAreReadAgain) {
  const std::string text = Create("ci");
  const std::string id = keys_.Find(text)->id;
  ASSERT_THAT(RevokeApiKey(*store_, "ci", kNow), IsOk());
  EXPECT_THAT(keys_.Find(text), IsOk());
  const auto changed = keys_.Refresh(*store_);
  ASSERT_THAT(changed, IsOk());
  EXPECT_TRUE(*changed);
  EXPECT_THAT(keys_.Find(text), HasError(kUnauthenticated, "KEY_REVOKED"));
  EXPECT_THAT(keys_.Check(id), HasError(kUnauthenticated, "KEY_REVOKED"));
  EXPECT_FALSE(*keys_.Refresh(*store_));
}

TEST_F(ApiKeysTest, RevokingTheLastKeyLeavesTheServerClosed) {
  EXPECT_FALSE(keys_.any());
  Create("ci");
  EXPECT_TRUE(keys_.any());
  ASSERT_THAT(RevokeApiKey(*store_, "ci", kNow), IsOk());
  ASSERT_THAT(keys_.Refresh(*store_), IsOk());
  EXPECT_TRUE(keys_.any());
}

TEST_F(ApiKeysTest, ANameBelongsToOneKeyAtATime) {
  Create("ci");
  EXPECT_THAT(CreateApiKey(*store_, "ci", Role::kUser, kNow),
              HasError(absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"));
  ASSERT_THAT(RevokeApiKey(*store_, "ci", kNow), IsOk());
  EXPECT_THAT(CreateApiKey(*store_, "ci", Role::kUser, kNow), IsOk());
  EXPECT_THAT(CreateApiKey(*store_, "../x", Role::kUser, kNow),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_NAME"));
}

TEST_F(ApiKeysTest, AKeyIsRevokedByItsIdToo) {
  const std::string id = keys_.Find(Create("ci"))->id;
  const auto revoked = RevokeApiKey(*store_, id, kNow);
  ASSERT_THAT(revoked, IsOk());
  EXPECT_EQ(revoked->name, "ci");
  EXPECT_EQ(revoked->revoke_time, kNow);
  EXPECT_THAT(RevokeApiKey(*store_, id, kNow),
              HasError(absl::StatusCode::kNotFound, "NOT_FOUND"));
}

}  // namespace
}  // namespace attune::core
