// The safetensors format: 8 bytes with the length N of a JSON header
// (little-endian), N bytes of header, then the tensors' bytes without gaps.
// https://github.com/huggingface/safetensors#format
//
// Only the header is read and made here, so that the bytes can be streamed:
// the first 8 bytes give HeaderSize, that many bytes give the Header, and it
// says where every tensor lies. The reader is strict, since files come from
// outside: whatever the format does not allow is an error.

#ifndef ATTUNE_COMMON_SAFETENSORS_SAFETENSORS_H_
#define ATTUNE_COMMON_SAFETENSORS_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attune::safetensors {

// The types that a model or a checkpoint may hold; the format's others (F64,
// I32 …) are refused by name. The numbers are those of attune.v1.DataType and
// are stored.
enum class DataType {
  kFloat32 = 1,
  kFloat16 = 2,
  kBfloat16 = 3,
  kInt64 = 4,
  kUint8 = 5,
};

// Bytes of one value; 0 for a number that is none of the types.
int64_t ByteSize(DataType type);
// The format's name of the type: "F32", "F16", "BF16", "I64", "U8"; "" as
// above.
absl::string_view DataTypeName(DataType type);

using Shape = std::vector<int64_t>;
using Metadata = std::map<std::string, std::string>;

// One tensor; its values are row-major and little-endian.
struct TensorInfo {
  std::string name;
  DataType data_type = DataType::kFloat32;
  // Sizes, outermost first; empty for a scalar.
  Shape shape;
  // First byte and the byte after the last, counted from the end of the
  // header.
  int64_t begin = 0;
  int64_t end = 0;

  friend bool operator==(const TensorInfo&, const TensorInfo&) = default;
};

struct Header {
  // By offset, names distinct, without gaps: the first begins at 0.
  std::vector<TensorInfo> tensors;
  // The strings under "__metadata__".
  Metadata metadata;
  // Where the tensors' bytes begin in the file.
  int64_t data_begin = 0;

  // Length of the whole file.
  int64_t file_size() const {
    return data_begin + (tensors.empty() ? 0 : tensors.back().end);
  }
};

// A longer header is refused. ViT-L/14 has one of 60 KB.
inline constexpr int64_t kMaxHeaderBytes = 10 << 20;
// Bytes before the header.
inline constexpr int64_t kLengthBytes = 8;

// Length of the file up to the first tensor's bytes, out of the file's first
// 9 or more bytes (8 of length and the brace that a header begins with).
// INVALID_ARGUMENT, reason NOT_SAFETENSORS, when this is not such a file; the
// message points to attune-convert when it looks like a PyTorch file.
absl::StatusOr<int64_t> HeaderSize(absl::string_view first_bytes);

// Reads the header out of the file's first bytes, at least HeaderSize of
// them. `file_size`, where it is known already, must be what the header says.
// INVALID_ARGUMENT, reason NOT_SAFETENSORS as HeaderSize, or reason
// INVALID_SAFETENSORS naming the tensor: truncated, not JSON, a key twice, an
// unknown type or field, a shape that does not fit the bytes, tensors that
// overlap or leave a gap, numbers that overflow.
absl::StatusOr<Header> ParseHeader(
    absl::string_view first_bytes,
    std::optional<int64_t> file_size = std::nullopt);

// The first bytes of a file with these tensors, in this order and without
// gaps; `begin` and `end` of the arguments are ignored. Equal arguments give
// equal bytes, and the tensors' bytes begin at a multiple of 8. Where each
// tensor lies follows from the order.
// REQUIRES: distinct names, valid UTF-8, none "__metadata__".
std::string WriteHeader(const std::vector<TensorInfo>& tensors,
                        const Metadata& metadata);

// Bytes of a tensor; nullopt when a size is negative or the product exceeds
// int64.
std::optional<int64_t> TensorBytes(DataType type, const Shape& shape);

}  // namespace attune::safetensors

#endif  // ATTUNE_COMMON_SAFETENSORS_SAFETENSORS_H_
