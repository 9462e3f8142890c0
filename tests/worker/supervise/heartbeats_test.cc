#include "worker/supervise/heartbeats.h"

#include "common/grpc/channel.h"
#include "gtest/gtest.h"
#include "tests/worker/fake_server/fake_server.h"

namespace attune::supervise {
namespace {

using State = Heartbeats::LeaseState;

v1::RegisterRequest Registration() {
  v1::RegisterRequest request;
  request.set_worker_id("w");
  return request;
}

class HeartbeatsTest : public ::testing::Test {
 protected:
  HeartbeatsTest() { server_.AddLease("lease"); }

  test::FakeServer server_;
  transport::StopSignal stop_;
  FakeClock clock_;
  transport::ServerConnection connection_{ConnectTo(server_.address()), stop_};
  Heartbeats heartbeats_{
      connection_,
      clock_,
      {.registration = Registration(), .fence_after = absl::Seconds(20)}};
};

TEST_F(HeartbeatsTest, IdleWorkerBeatsWithoutALease) {
  heartbeats_.Beat();
  ASSERT_EQ(server_.seen().heartbeats.size(), 1u);
  EXPECT_EQ(server_.seen().heartbeats[0].worker_id(), "w");
  EXPECT_EQ(server_.seen().heartbeats[0].lease_token(), "");
}

TEST_F(HeartbeatsTest, HeartbeatCarriesLeaseAndProgress) {
  heartbeats_.Take("lease");
  heartbeats_.SetProgress({.step = 3, .total_steps = 30});
  heartbeats_.Beat();
  const auto beats = server_.seen().heartbeats;
  ASSERT_EQ(beats.size(), 1u);
  EXPECT_EQ(beats[0].lease_token(), "lease");
  EXPECT_EQ(beats[0].step(), 3);
  EXPECT_EQ(beats[0].total_steps(), 30);
}

TEST_F(HeartbeatsTest, LeaseIsFencedTwentySecondsAfterTheLastGoodHeartbeat) {
  heartbeats_.Take("lease");
  clock_.Advance(absl::Seconds(15));
  heartbeats_.Beat();
  server_.Fail("Heartbeat", absl::UnavailableError("cut"), 1);
  clock_.Advance(absl::Seconds(19));
  heartbeats_.Beat();
  EXPECT_EQ(heartbeats_.lease_state(), State::kHeld);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(heartbeats_.lease_state(), State::kFenced);
}

TEST_F(HeartbeatsTest, LostLeaseIsNoticed) {
  heartbeats_.Take("lease");
  server_.LoseLease("lease");
  heartbeats_.Beat();
  EXPECT_EQ(heartbeats_.lease_state(), State::kLost);
}

TEST_F(HeartbeatsTest, NewLeaseStartsAfresh) {
  heartbeats_.Take("other");
  heartbeats_.Beat();
  ASSERT_EQ(heartbeats_.lease_state(), State::kLost);
  heartbeats_.Drop();
  clock_.Advance(absl::Minutes(5));
  heartbeats_.Take("lease");
  EXPECT_EQ(heartbeats_.lease_state(), State::kHeld);
}

TEST_F(HeartbeatsTest, WishIsKept) {
  heartbeats_.Take("lease");
  server_.SetWish(v1::HeartbeatResponse::WISH_PAUSE);
  heartbeats_.Beat();
  EXPECT_EQ(heartbeats_.wish(), v1::HeartbeatResponse::WISH_PAUSE);
}

TEST_F(HeartbeatsTest, UnknownWorkerRegistersAgain) {
  server_.Fail("Heartbeat", absl::NotFoundError("no such worker"), 1);
  heartbeats_.Beat();
  ASSERT_EQ(server_.seen().registrations.size(), 1u);
  EXPECT_EQ(server_.seen().registrations[0].worker_id(), "w");
}

}  // namespace
}  // namespace attune::supervise
