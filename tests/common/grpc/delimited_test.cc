#include "common/grpc/delimited.h"

#include <algorithm>
#include <string>
#include <vector>

#include "attune/v1/dataset_service.pb.h"
#include "common/error.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

std::string StreamOf(const std::vector<std::string>& images) {
  std::string stream;
  for (const std::string& image : images) {
    v1::Example example;
    example.set_image(image);
    example.mutable_clean();
    AppendDelimited(example, &stream);
  }
  return stream;
}

// The images found when `stream` arrives in chunks of `chunk_bytes`.
absl::StatusOr<std::vector<std::string>> Decode(const std::string& stream,
                                                size_t chunk_bytes,
                                                size_t max_bytes) {
  DelimitedDecoder decoder(max_bytes);
  std::vector<std::string> images;
  v1::Example example;
  for (size_t at = 0; at < stream.size(); at += chunk_bytes) {
    decoder.Feed(absl::string_view(stream).substr(at, chunk_bytes));
    while (true) {
      absl::StatusOr<bool> found = decoder.Next(&example);
      if (!found.ok()) return found.status();
      if (!*found) break;
      images.push_back(example.image());
    }
  }
  if (absl::Status status = decoder.Finish(); !status.ok()) return status;
  return images;
}

TEST(Delimited, ChunksOfAnySizeGiveTheSameMessages) {
  const std::vector<std::string> images = {"a", std::string(300, 'b'), "",
                                           std::string(70'000, 'c')};
  const std::string stream = StreamOf(images);
  for (const size_t chunk_bytes : {1, 2, 3, 127, 4096, 1'000'000}) {
    auto found = Decode(stream, chunk_bytes, 100'000);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, images);
  }
}

TEST(Delimited, EqualMapsGiveEqualBytes) {
  v1::Example forwards;
  v1::Example backwards;
  for (int i = 0; i < 64; ++i) {
    (*forwards.mutable_attributes())[std::to_string(i)] = "x";
    (*backwards.mutable_attributes())[std::to_string(63 - i)] = "x";
  }
  std::string first;
  std::string second;
  AppendDelimited(forwards, &first);
  AppendDelimited(backwards, &second);
  EXPECT_EQ(first, second);
}

TEST(Delimited, AMessageAtTheLimitPassesAndOneByteMoreDoesNot) {
  const std::string stream = StreamOf({std::string(1000, 'x')});
  const size_t message_bytes = stream.size() - 2;
  EXPECT_TRUE(Decode(stream, 64, message_bytes).ok());
  const auto refused = Decode(stream, 64, message_bytes - 1);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(refused.status()), "MESSAGE_TOO_LARGE");
}

TEST(Delimited, AHugeSizeIsRefusedBeforeItsBytesArrive) {
  DelimitedDecoder decoder;
  decoder.Feed("\xff\xff\xff\xff\xff\xff\xff\xff\x7f");
  v1::Example example;
  EXPECT_EQ(ErrorReason(decoder.Next(&example).status()), "MESSAGE_TOO_LARGE");
}

TEST(Delimited, BytesThatAreNoVarintAreMalformed) {
  const auto refused = Decode(std::string(11, '\xff'), 11, 1000);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(refused.status()), "MALFORMED_STREAM");
}

TEST(Delimited, BytesThatAreNoExampleAreMalformed) {
  const auto refused = Decode("\x03\xff\xff\xff", 4, 1000);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(refused.status()), "MALFORMED_STREAM");
}

TEST(Delimited, AStreamThatEndsInsideAMessageIsMalformed) {
  std::string stream = StreamOf({"abc", "def"});
  stream.pop_back();
  EXPECT_EQ(ErrorReason(Decode(stream, 5, 1000).status()), "MALFORMED_STREAM");
}

}  // namespace
}  // namespace attune
