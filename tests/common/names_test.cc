#include "common/names.h"

#include <string>

#include "common/error.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

class BadName : public testing::TestWithParam<std::string> {};

TEST_P(BadName, IsRefusedAsInvalidName) {
  const absl::Status status = ValidateName("name", GetParam());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_NAME");
  ASSERT_EQ(ErrorFields(status).size(), 1u);
  EXPECT_EQ(ErrorFields(status)[0].field, "name");
}

INSTANTIATE_TEST_SUITE_P(Names, BadName,
                         testing::Values("", ".", "..", "../x", "/etc/x", "a/b",
                                         "%2e%2e", std::string("a\0b", 3),
                                         std::string(300, 'a'), "Upper", "-a",
                                         "a b"));

TEST(Names, OrdinaryNamesPass) {
  EXPECT_TRUE(ValidateName("name", "rta-100_v1.2").ok());
  EXPECT_TRUE(ValidateName("name", std::string(63, 'a')).ok());
}

class BadText : public testing::TestWithParam<std::string> {};

TEST_P(BadText, IsRefusedAsInvalidText) {
  const absl::Status status = ValidateText("text", GetParam());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_TEXT");
}

INSTANTIATE_TEST_SUITE_P(Texts, BadText,
                         testing::Values("", "  \t", "a\nb",
                                         std::string("a\0b", 3), "a\x7f",
                                         std::string(8193, 'a'), "\xff\xfe",
                                         "\xc0\xaf", "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80", "\xe2\x82"));

TEST(Texts, OrdinaryTextsPass) {
  EXPECT_TRUE(ValidateText("text", "a photo of a dog.").ok());
  EXPECT_TRUE(ValidateText("text", "犬の写真 – naïve 🐕").ok());
  EXPECT_TRUE(ValidateText("text", std::string(8192, 'a')).ok());
}

}  // namespace
}  // namespace attune
