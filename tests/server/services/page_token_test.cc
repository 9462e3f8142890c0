#include "server/services/page_token.h"

#include "common/error.h"
#include "gtest/gtest.h"

namespace attune::services {
namespace {

TEST(PageTokenTest, ATokenLeadsBackToItsPosition) {
  for (const char* position : {"rta", "a b\n", "\xff\x01", "7"}) {
    const std::string token = EncodePageToken("ListDatasets", position);
    const auto decoded = DecodePageToken("ListDatasets", token);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, position);
  }
}

TEST(PageTokenTest, AnEmptyTokenIsTheFirstPage) {
  EXPECT_EQ(*DecodePageToken("ListDatasets", ""), "");
  EXPECT_EQ(*DecodeNumericPageToken("ListJobs", ""), 0);
}

TEST(PageTokenTest, ANumericTokenLeadsBackToItsNumber) {
  const std::string token = EncodePageToken("ListJobs", int64_t{1} << 40);
  EXPECT_EQ(*DecodeNumericPageToken("ListJobs", token), int64_t{1} << 40);
}

TEST(PageTokenTest, ForgedTokensAreInvalidArguments) {
  const std::string token = EncodePageToken("ListExamples/a", int64_t{7});
  std::string changed = token;
  changed[3] = changed[3] == 'A' ? 'B' : 'A';
  for (const std::string& forged :
       {std::string("7"), std::string("!"), std::string("Nw=="), changed,
        token + "A", token.substr(1), std::string(10000, 'A')}) {
    const auto decoded = DecodeNumericPageToken("ListExamples/a", forged);
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorReason(decoded.status()), "INVALID_PAGE_TOKEN");
  }
}

TEST(PageTokenTest, ATokenOfAnotherListIsRefused) {
  const std::string token = EncodePageToken("ListExamples/a", int64_t{7});
  EXPECT_EQ(
      ErrorReason(DecodeNumericPageToken("ListExamples/b", token).status()),
      "INVALID_PAGE_TOKEN");
}

TEST(PageSizeTest, ZeroIsTheDefaultAndMoreThanTheLimitIsCapped) {
  EXPECT_EQ(*PageSize(0, 100, 1000), 100);
  EXPECT_EQ(*PageSize(1, 100, 1000), 1);
  EXPECT_EQ(*PageSize(1000, 100, 1000), 1000);
  EXPECT_EQ(*PageSize(1'000'000'000, 100, 1000), 1000);
}

TEST(PageSizeTest, ANegativeSizeIsAnInvalidArgument) {
  const auto size = PageSize(-1, 100, 1000);
  EXPECT_EQ(size.status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(ErrorFields(size.status()).size(), 1);
  EXPECT_EQ(ErrorFields(size.status())[0].field, "page_size");
}

}  // namespace
}  // namespace attune::services
