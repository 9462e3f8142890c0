#include "common/grpc/client_security.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::HasSubstr;
using ::testing::Not;

class ClientSecurityTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.File(name), std::ios::binary) << text;
    return folder_.File(name);
  }

  test::TempDir folder_;
};

TEST_F(ClientSecurityTest, WithoutFilesThereIsNone) {
  const auto security = LoadClientSecurity({}, "server:7700");
  ASSERT_THAT(security, IsOk());
  EXPECT_TRUE(security->tls.empty());
  EXPECT_EQ(security->api_key, "");
}

TEST_F(ClientSecurityTest, TheKeyIsTheFilesOnlyLine) {
  const auto security = LoadClientSecurity(
      {.api_key = Write("key", "attune_0123_4567\n")}, "127.0.0.1:7700");
  ASSERT_THAT(security, IsOk());
  EXPECT_EQ(security->api_key, "attune_0123_4567");
}

TEST_F(ClientSecurityTest, AKeyLeavesTheMachineOverTlsOnly) {
  EXPECT_THAT(
      LoadClientSecurity({.api_key = Write("key", "secret")}, "server:7700"),
      HasError(absl::StatusCode::kInvalidArgument, "API_KEY_NEEDS_TLS"));
}

TEST_F(ClientSecurityTest, AFileWithoutAKeyIsRefusedWithoutShowingIt) {
  for (const std::string& text :
       {std::string(), std::string(" \n"), std::string("two words"),
        std::string("line\nline"), std::string("nul\0nul", 7),
        std::string("\xff\xfe"), std::string(5000, 'k')}) {
    const auto security =
        LoadClientSecurity({.api_key = Write("key", text)}, "localhost:1");
    EXPECT_THAT(security, HasError(absl::StatusCode::kInvalidArgument,
                                   "API_KEY_FILE_INVALID"));
    EXPECT_THAT(std::string(security.status().message()),
                Not(HasSubstr("kkk")));
  }
  EXPECT_THAT(
      LoadClientSecurity({.api_key = folder_.File("none")}, "localhost:1"),
      HasError(absl::StatusCode::kInvalidArgument, "API_KEY_FILE_INVALID"));
}

TEST_F(ClientSecurityTest, AFileThatIsNoCertificateIsNamed) {
  const std::string path = Write("ca.pem", "not a certificate");
  const auto security = LoadClientSecurity({.tls = {.ca = path}}, "server:1");
  EXPECT_THAT(security,
              HasError(absl::StatusCode::kInvalidArgument, "TLS_FILE_INVALID"));
  EXPECT_THAT(std::string(security.status().message()), HasSubstr(path));
}

TEST_F(ClientSecurityTest, ACertificateNeedsItsKey) {
  EXPECT_THAT(LoadClientSecurity({.tls = {.certificate = "c.pem"}}, "server:1"),
              HasError(absl::StatusCode::kInvalidArgument, "TLS_FILE_INVALID"));
}

}  // namespace
}  // namespace attune
