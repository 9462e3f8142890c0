#include "common/ids.h"

#include "common/digest.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

TEST(Ids, ANewUuidIsAUuidAndNotTheLastOne) {
  EXPECT_TRUE(IsUuid(NewUuid()));
  EXPECT_NE(NewUuid(), NewUuid());
  EXPECT_EQ(NewUuid()[14], '4');
}

TEST(Ids, OtherTextsAreNoUuid) {
  EXPECT_FALSE(IsUuid(""));
  EXPECT_FALSE(IsUuid("123e4567e89b12d3a456426614174000"));
  EXPECT_FALSE(IsUuid("123e4567-e89b-12d3-a456-42661417400g"));
  EXPECT_TRUE(IsUuid("123E4567-e89b-12d3-a456-426614174000"));
}

// The vector of FIPS 180-2, appendix B.1.
TEST(Digest, EqualsThePublishedVector) {
  EXPECT_EQ(Sha256Hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 parts;
  parts.Update("a");
  parts.Update("bc");
  EXPECT_EQ(parts.FinishHex(), Sha256Hex("abc"));
  EXPECT_TRUE(IsSha256Hex(Sha256Hex("")));
  EXPECT_FALSE(IsSha256Hex("BA7816"));
}

}  // namespace
}  // namespace attune
