#include "common/grpc/address.h"

#include "gtest/gtest.h"

namespace attune {
namespace {

TEST(IsLoopback, HoldsForThisMachineOnly) {
  for (const char* address : {"127.0.0.1:7700", "127.8.9.1:1", "localhost:7700",
                              "[::1]:7700", "unix:/run/attune.sock"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address :
       {"0.0.0.0:7700", "[::]:7700", "10.0.0.1:7700", "server:7700", "",
        "localhost.example.org:7700"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(IsLoopback, ANameThatBeginsAsTheAddressDoesIsSomewhereElse) {
  EXPECT_FALSE(IsLoopback("127.example.org:7700"));
  EXPECT_FALSE(IsLoopback("127.0.0.1.example.org:7700"));
}

}  // namespace
}  // namespace attune
