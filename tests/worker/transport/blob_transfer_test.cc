#include "worker/transport/blob_transfer.h"

#include <string>
#include <vector>

#include "common/digest.h"
#include "common/error.h"
#include "common/grpc/channel.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/fake_server/fake_server.h"

namespace attune::transport {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class BlobTransferTest : public ::testing::Test {
 protected:
  absl::Status Get(const std::vector<std::string>& digests) {
    return GetBlobs(connection_, digests, [&](size_t index, std::string bytes) {
      EXPECT_EQ(index, received_.size());
      received_.push_back(std::move(bytes));
      return receive_status_;
    });
  }

  test::FakeServer server_;
  StopSignal stop_;
  ServerConnection connection_{ConnectTo(server_.address()), stop_};
  std::vector<std::string> received_;
  absl::Status receive_status_;
};

TEST_F(BlobTransferTest, BlobsOfSeveralChunksArriveInOrder) {
  const std::string large(3'500, 'a');
  const std::string first = server_.AddBlob(large);
  const std::string second = server_.AddBlob("small");
  const std::string empty = server_.AddBlob("");
  ASSERT_TRUE(Get({first, second, empty, first}).ok());
  EXPECT_THAT(received_, ElementsAre(large, "small", "", large));
}

TEST_F(BlobTransferTest, BrokenStreamGoesOnWhereItWas) {
  std::vector<std::string> digests;
  for (int i = 0; i < 4; ++i) {
    digests.push_back(server_.AddBlob(std::string(1'500, 'a' + i)));
  }
  server_.Fail("GetBlobs", absl::OkStatus(), 2);
  server_.Fail("GetBlobs", absl::UnavailableError("cut"), 1);
  ASSERT_TRUE(Get(digests).ok());
  EXPECT_EQ(received_.size(), 4u);
  // Two blobs, the failure, then the two that were left.
  EXPECT_EQ(server_.seen().calls["GetBlobs"], 5);
}

TEST_F(BlobTransferTest, OtherBytesThanAskedForAreDataLoss) {
  const std::string digest = server_.AddBlob("right");
  server_.DamageBlob(digest, "wrong");
  const absl::Status status = Get({digest});
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ErrorReason(status), "BLOB_DAMAGED");
  EXPECT_THAT(received_, IsEmpty());
}

TEST_F(BlobTransferTest, UnknownBlobIsNotFound) {
  EXPECT_EQ(Get({Sha256Hex("nowhere")}).code(), absl::StatusCode::kNotFound);
}

TEST_F(BlobTransferTest, ErrorOfTheReceiverEndsTheTransfer) {
  receive_status_ = absl::ResourceExhaustedError("disk full");
  const std::vector<std::string> digests = {server_.AddBlob("one"),
                                            server_.AddBlob("two")};
  EXPECT_EQ(Get(digests).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(received_.size(), 1u);
}

TEST_F(BlobTransferTest, OnlyMissingBlobsAreSentAndEachOnce) {
  server_.AddLease("lease");
  const std::string large(kMaxChunkBytes + 10, 'x');
  const std::string known = "known";
  server_.AddBlob(known);
  const std::vector<Blob> blobs = {{Sha256Hex(large), large},
                                   {Sha256Hex(known), known},
                                   {Sha256Hex(large), large},
                                   {Sha256Hex(""), ""}};
  const absl::StatusOr<PutCounts> counts =
      PutMissingBlobs(connection_, "lease", blobs);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->sent_count, 2);
  EXPECT_EQ(counts->sent_bytes, kMaxChunkBytes + 10);
  EXPECT_THAT(server_.seen().put_digests,
              UnorderedElementsAre(Sha256Hex(large), Sha256Hex("")));
  EXPECT_EQ(server_.GetBlob(Sha256Hex(large)), large);
}

TEST_F(BlobTransferTest, PutIsTriedAgainWhileTheServerIsUnavailable) {
  server_.AddLease("lease");
  server_.Fail("FindMissingBlobs", absl::UnavailableError("restarting"), 1);
  server_.Fail("PutBlobs", absl::UnavailableError("restarting"), 1);
  ASSERT_TRUE(
      PutMissingBlobs(connection_, "lease", {{Sha256Hex("a"), "a"}}).ok());
  EXPECT_TRUE(server_.HasBlob(Sha256Hex("a")));
}

TEST_F(BlobTransferTest, PutWithALostLeaseIsAborted) {
  const absl::Status status =
      PutMissingBlobs(connection_, "old", {{Sha256Hex("a"), "a"}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ErrorReason(status), "LEASE_LOST");
  EXPECT_FALSE(server_.HasBlob(Sha256Hex("a")));
}

TEST_F(BlobTransferTest, StopEndsATransferThatWaitsForTheServer) {
  server_.Fail("GetBlobs", absl::UnavailableError("away"), 1'000);
  const std::string digest = server_.AddBlob("one");
  std::thread stopper([&] {
    server_.Await([](const auto& seen) {
      const auto calls = seen.calls.find("GetBlobs");
      return calls != seen.calls.end() && calls->second >= 1;
    });
    stop_.Stop();
  });
  EXPECT_EQ(Get({digest}).code(), absl::StatusCode::kCancelled);
  stopper.join();
}

}  // namespace
}  // namespace attune::transport
