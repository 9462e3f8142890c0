// Messages in a byte stream: each preceded by its size as a varint, the form
// of protobuf's delimited files. Examples travel so in chunks of an upload and
// of a download; a chunk need not end where a message does.

#ifndef ATTUNE_COMMON_GRPC_DELIMITED_H_
#define ATTUNE_COMMON_GRPC_DELIMITED_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace attune {

// The largest Example: two pictures of 20 MiB, their texts and attributes.
inline constexpr size_t kMaxExampleBytes = size_t{41} << 20;

// Appends the size of `message` and its bytes to `*stream`. Equal messages give
// equal bytes in one build of the program.
void AppendDelimited(const google::protobuf::MessageLite& message,
                     std::string* stream);

// Reads messages from a stream that arrives in chunks. Holds at most one
// message and one chunk. Not thread-safe.
//
//   decoder.Feed(chunk);
//   while (true) {
//     ATTUNE_ASSIGN_OR_RETURN(bool found, decoder.Next(&example));
//     if (!found) break;
//     …
//   }
//   … after the last chunk:  ATTUNE_RETURN_IF_ERROR(decoder.Finish());
class DelimitedDecoder {
 public:
  explicit DelimitedDecoder(size_t max_message_bytes = kMaxExampleBytes)
      : max_message_bytes_(max_message_bytes) {}

  // Appends the next bytes of the stream.
  void Feed(absl::string_view chunk);

  // Reads the next message into `*message` and returns true, or false when
  // more bytes are needed. INVALID_ARGUMENT with reason MESSAGE_TOO_LARGE as
  // soon as a size above the limit is read, or MALFORMED_STREAM when size or
  // message cannot be parsed; the decoder cannot be used after an error.
  absl::StatusOr<bool> Next(google::protobuf::MessageLite* message);

  // The bytes of the message that Next returned last, its size before it, and
  // the bytes after it. Valid until the next Feed.
  absl::string_view last_message() const {
    return absl::string_view(buffer_).substr(message_start_,
                                             consumed_ - message_start_);
  }
  absl::string_view rest() const {
    return absl::string_view(buffer_).substr(consumed_);
  }

  // INVALID_ARGUMENT, reason MALFORMED_STREAM, when the stream ends inside a
  // message. REQUIRES: Next returned false.
  absl::Status Finish() const;

 private:
  size_t max_message_bytes_;
  std::string buffer_;
  // Bytes of buffer_ that belong to messages already returned.
  size_t consumed_ = 0;
  size_t message_start_ = 0;  // of the last one
  // For error messages, from 0.
  size_t message_index_ = 0;
};

}  // namespace attune

#endif  // ATTUNE_COMMON_GRPC_DELIMITED_H_
