#include "server/core/models/selector.h"

#include <string>

#include "common/error.h"
#include "gtest/gtest.h"

namespace attune::core {
namespace {

TEST(SelectorTest, NameAloneMeansLatest) {
  const auto selector = ParseSelector("version", "robust");
  ASSERT_TRUE(selector.ok()) << selector.status();
  EXPECT_EQ(*selector, (Selector{"robust", "latest", 0}));
}

TEST(SelectorTest, NumberAndAliasAreRead) {
  EXPECT_EQ(*ParseSelector("version", "a.b-c:12"), (Selector{"a.b-c", "", 12}));
  EXPECT_EQ(*ParseSelector("version", "robust@stable"),
            (Selector{"robust", "stable", 0}));
}

class BadSelectorTest : public testing::TestWithParam<std::string> {};

TEST_P(BadSelectorTest, IsRefusedNamingTheField) {
  const auto selector = ParseSelector("version", GetParam());
  EXPECT_EQ(selector.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(selector.status()), "INVALID_SELECTOR");
  ASSERT_EQ(ErrorFields(selector.status()).size(), 1u);
  EXPECT_EQ(ErrorFields(selector.status())[0].field, "version");
}

INSTANTIATE_TEST_SUITE_P(
    All, BadSelectorTest,
    testing::Values("", ":", "@", ":1", "robust:", "robust@", "robust:0",
                    "robust:-1", "robust:+1", "robust:01", "robust: 1",
                    "robust:1x", "robust:2147483648", "robust@a/b", "../x",
                    "a/b", "robust:1:2", "robust@stable:1", "ROBUST",
                    std::string("a\0b", 3), std::string(300, 'a')));

}  // namespace
}  // namespace attune::core
