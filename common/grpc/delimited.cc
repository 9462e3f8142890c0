#include "common/grpc/delimited.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace attune {
namespace {

using ::google::protobuf::io::CodedOutputStream;

constexpr size_t kMaxVarintBytes = 10;

// The varint at the start of `bytes`: its length, 0 when it is cut, or
// kMaxVarintBytes + 1 when it is none.
size_t ReadVarint(absl::string_view bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < kMaxVarintBytes; ++i) {
    if (i == bytes.size()) return 0;
    const uint64_t byte = static_cast<unsigned char>(bytes[i]);
    *value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) return i + 1;
  }
  return kMaxVarintBytes + 1;
}

}  // namespace

void AppendDelimited(const google::protobuf::MessageLite& message,
                     std::string* stream) {
  const size_t size = message.ByteSizeLong();
  const size_t header = CodedOutputStream::VarintSize64(size);
  const size_t start = stream->size();
  stream->resize(start + header + size);
  google::protobuf::io::ArrayOutputStream array(
      stream->data() + start, static_cast<int>(header + size));
  CodedOutputStream out(&array);
  // The entries of a map in their order: an upload that is sent again must
  // have the same digest.
  out.SetSerializationDeterministic(true);
  out.WriteVarint64(size);
  message.SerializeWithCachedSizes(&out);
}

void DelimitedDecoder::Feed(absl::string_view chunk) {
  // Once a chunk, not once a message: moving the rest down for every small
  // message would cost the square of the chunk's size.
  buffer_.erase(0, consumed_);
  consumed_ = 0;
  message_start_ = 0;
  buffer_.append(chunk.data(), chunk.size());
}

absl::StatusOr<bool> DelimitedDecoder::Next(
    google::protobuf::MessageLite* message) {
  const absl::string_view rest = absl::string_view(buffer_).substr(consumed_);
  uint64_t size = 0;
  const size_t header = ReadVarint(rest, &size);
  if (header == 0) return false;
  if (header > kMaxVarintBytes) {
    return Error(
        absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM",
        absl::StrCat("the size before message ", message_index_,
                     " is no varint: the stream is not in delimited form"));
  }
  if (size > max_message_bytes_) {
    return Error(
        absl::StatusCode::kInvalidArgument, "MESSAGE_TOO_LARGE",
        absl::StrCat("message ", message_index_, " has ", size,
                     " bytes, more than the ", max_message_bytes_, " allowed"));
  }
  if (rest.size() - header < size) return false;
  if (!message->ParseFromArray(rest.data() + header, static_cast<int>(size))) {
    return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM",
                 absl::StrCat("message ", message_index_,
                              " cannot be parsed as ", message->GetTypeName()));
  }
  message_start_ = consumed_;
  consumed_ += header + size;
  ++message_index_;
  return true;
}

absl::Status DelimitedDecoder::Finish() const {
  if (consumed_ == buffer_.size()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, "MALFORMED_STREAM",
               absl::StrCat("the stream ends inside message ", message_index_));
}

}  // namespace attune
