// What a worker and its decoding processes say to each other: one packet each
// way over a socket for a picture, whose bytes and pixels lie in memory that
// the two share.

#ifndef ATTUNE_WORKER_DECODE_DECODER_PROTOCOL_H_
#define ATTUNE_WORKER_DECODE_DECODER_PROTOCOL_H_

#include <cstddef>
#include <cstdint>

#include "common/image/image_header.h"

namespace attune::decode {

// The decoder's descriptors: a Unix socket that keeps packets apart, and the
// memory file.
inline constexpr int kSocketFd = 3;
inline constexpr int kMemoryFd = 4;

// The largest square that is cut out of a picture.
inline constexpr int kMaxSide = 2048;

// The file, then the pixels.
inline constexpr size_t kFileOffset = 0;
inline constexpr size_t kPixelOffset = image::kMaxImageBytes;
inline constexpr size_t kMemoryBytes =
    kPixelOffset + size_t{3} * kMaxSide * kMaxSide;

struct DecodeRequest {
  uint64_t file_bytes = 0;
  // Side of the square to make, or 0 to decode and make nothing.
  uint64_t side = 0;
};

struct DecodeAnswer {
  // Whether the picture is good; else why not, in `message`.
  uint32_t good = 0;
  uint32_t message_bytes = 0;
  char message[504] = {};
};

}  // namespace attune::decode

#endif  // ATTUNE_WORKER_DECODE_DECODER_PROTOCOL_H_
