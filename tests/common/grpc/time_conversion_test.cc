#include "common/grpc/time_conversion.h"

#include "gtest/gtest.h"

namespace attune {
namespace {

TEST(TimeConversion, NanosecondsComeBackOnBothSidesOf1970) {
  for (const absl::Time time :
       {absl::UnixEpoch(), absl::FromUnixNanos(1'700'000'000'123'456'789),
        absl::FromUnixNanos(-1'500'000'001)}) {
    EXPECT_EQ(FromProtoTimestamp(ToProtoTimestamp(time)), time);
    EXPECT_GE(ToProtoTimestamp(time).nanos(), 0);
  }
}

TEST(TimeConversion, NegativeDurationsHaveOneSign) {
  const google::protobuf::Duration duration =
      ToProtoDuration(absl::Milliseconds(-1500));
  EXPECT_EQ(duration.seconds(), -1);
  EXPECT_EQ(duration.nanos(), -500'000'000);
  EXPECT_EQ(FromProtoDuration(duration), absl::Milliseconds(-1500));
}

TEST(TimeConversion, InfiniteValuesBecomeTheLargestAllowed) {
  EXPECT_EQ(ToProtoTimestamp(absl::InfiniteFuture()).seconds(),
            253'402'300'799);
  EXPECT_EQ(ToProtoTimestamp(absl::InfinitePast()).seconds(), -62'135'596'800);
  EXPECT_EQ(ToProtoDuration(absl::InfiniteDuration()).seconds(),
            315'576'000'000);
}

}  // namespace
}  // namespace attune
