#include "common/image/header_readers.h"

#include <cstring>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace attune::image {
namespace {

using ::absl::string_view;

// Numbers of 1 to 4 bytes; REQUIRES: they lie within `bytes`.
uint32_t BigEndian(string_view bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

uint32_t LittleEndian(string_view bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

// A JPEG file is a list of markers, 0xFF and a code, most with a segment whose
// length follows. After a start of scan comes entropy-coded data, in which
// 0xFF is followed by 0 or a restart marker (T.81, B.1.1).
enum JpegMarker {
  kTemporary = 0x01,
  kStartOfFrame0 = 0xc0,  // Baseline; up to 0xcf the other frames but:
  kHuffmanTables = 0xc4,
  kReservedFrame = 0xc8,
  kArithmeticTables = 0xcc,
  kRestart0 = 0xd0,
  kRestart7 = 0xd7,
  kStartOfImage = 0xd8,
  kEndOfImage = 0xd9,
  kStartOfScan = 0xda,
};

bool IsFrame(int marker) {
  return marker >= kStartOfFrame0 && marker <= 0xcf &&
         marker != kHuffmanTables && marker != kReservedFrame &&
         marker != kArithmeticTables;
}

absl::StatusOr<ImageInfo> ReadJpegFrame(int marker, string_view segment) {
  const int variant = marker - kStartOfFrame0;
  // Sequential and progressive, Huffman or arithmetic coding.
  if (variant != 0 && variant != 1 && variant != 2 && variant != 9 &&
      variant != 10) {
    return InvalidImage(
        "a lossless or hierarchical JPEG: save it as an ordinary JPEG");
  }
  if (segment.size() < 6) return InvalidImage("the JPEG header is cut off");
  if (segment[0] != 8) {
    return InvalidImage(absl::StrCat("a JPEG of ", BigEndian(segment, 0, 1),
                                     " bits a sample: save it with 8"));
  }
  const int components = static_cast<int>(BigEndian(segment, 5, 1));
  if (components != 1 && components != 3 && components != 4) {
    return InvalidImage(
        absl::StrCat("a JPEG with ", components, " colour components"));
  }
  return ImageInfo{ImageType::kJpeg, static_cast<int>(BigEndian(segment, 3, 2)),
                   static_cast<int>(BigEndian(segment, 1, 2))};
}

// The position of the next marker's 0xFF from `at` on, past entropy-coded
// data and filling; bytes.size() when there is none.
size_t NextMarker(string_view bytes, size_t at) {
  while (at < bytes.size()) {
    const void* found = std::memchr(&bytes[at], 0xff, bytes.size() - at);
    if (found == nullptr) break;
    at = static_cast<const char*>(found) - bytes.data();
    if (at + 1 >= bytes.size()) break;
    const int code = static_cast<unsigned char>(bytes[at + 1]);
    if (code != 0 && code != 0xff && (code < kRestart0 || code > kRestart7)) {
      return at;
    }
    // A second 0xFF may begin the marker itself.
    at += code == 0xff ? 1 : 2;
  }
  return bytes.size();
}

}  // namespace

absl::StatusOr<ImageInfo> ReadJpegHeader(string_view bytes) {
  std::optional<ImageInfo> info;
  int scans = 0;
  size_t at = 2;
  for (;;) {
    at = NextMarker(bytes, at);
    if (at == bytes.size()) break;
    const int marker = static_cast<unsigned char>(bytes[at + 1]);
    at += 2;
    if (marker == kEndOfImage) break;
    if (marker == kTemporary || marker == kStartOfImage) continue;
    if (bytes.size() - at < 2) break;
    const size_t length = BigEndian(bytes, at, 2);
    if (length < 2) return InvalidImage("the JPEG has a segment of length 0");
    // A segment past the end is cut off; what was read of it is of no use.
    if (length > bytes.size() - at) break;
    const string_view segment = bytes.substr(at + 2, length - 2);
    at += length;
    if (IsFrame(marker)) {
      if (info) return InvalidImage("the JPEG has two frame headers");
      ATTUNE_ASSIGN_OR_RETURN(info, ReadJpegFrame(marker, segment));
    } else if (marker == kStartOfScan) {
      if (!info) return InvalidImage("the JPEG has a scan before its frame");
      if (++scans > kMaxJpegScans) {
        return InvalidImage(
            absl::StrCat("the JPEG has more than ", kMaxJpegScans, " scans"));
      }
    }
  }
  if (!info || scans == 0) return InvalidImage("the JPEG header is cut off");
  return *info;
}

absl::StatusOr<ImageInfo> ReadPngHeader(string_view bytes) {
  constexpr size_t kMagicBytes = 8;
  constexpr size_t kHeaderBytes = 13;
  constexpr size_t kChunkOverhead = 12;  // Length, type, checksum.
  if (bytes.size() < kMagicBytes + kChunkOverhead + kHeaderBytes) {
    return InvalidImage("the PNG header is cut off");
  }
  if (BigEndian(bytes, kMagicBytes, 4) != kHeaderBytes ||
      bytes.substr(kMagicBytes + 4, 4) != "IHDR") {
    return InvalidImage("the PNG does not start with its header");
  }
  const string_view header = bytes.substr(kMagicBytes + 8, kHeaderBytes);
  const uint32_t width = BigEndian(header, 0, 4);
  const uint32_t height = BigEndian(header, 4, 4);
  if (width > INT32_MAX || height > INT32_MAX) {
    return InvalidImage("the PNG's size is no legal number");
  }
  bool has_pixels = false;
  size_t at = kMagicBytes + kChunkOverhead + kHeaderBytes;
  while (bytes.size() - at >= kChunkOverhead) {
    const int64_t length = BigEndian(bytes, at, 4);
    const string_view type = bytes.substr(at + 4, 4);
    if (type == "IEND") break;
    if (type == "IDAT") {
      has_pixels = true;
    } else if (length > kMaxPngChunkBytes) {
      return InvalidImage(absl::StrCat(
          "the PNG has a chunk '", absl::CHexEscape(type), "' of ", length,
          " bytes; beside the pixels at most ", kMaxPngChunkBytes,
          " are taken: save it without texts and profiles"));
    }
    if (length > static_cast<int64_t>(bytes.size() - at - kChunkOverhead)) {
      break;
    }
    at += kChunkOverhead + length;
  }
  if (!has_pixels) return InvalidImage("the PNG has no pixels (no IDAT chunk)");
  return ImageInfo{ImageType::kPng, static_cast<int>(width),
                   static_cast<int>(height)};
}

absl::StatusOr<ImageInfo> ReadWebpHeader(string_view bytes) {
  // RIFF, size, WEBP, and the first chunk's type, size and first ten bytes.
  constexpr size_t kChunk = 12;
  constexpr size_t kData = 20;
  if (bytes.size() < kData + 10) {
    return InvalidImage("the WebP header is cut off");
  }
  const string_view type = bytes.substr(kChunk, 4);
  ImageInfo info{ImageType::kWebp, 0, 0};
  if (type == "VP8 ") {
    // Three bytes of frame tag, whose lowest bit is 0 in a key frame, a start
    // code, then two sides of 14 bits (RFC 6386, 9.1).
    if ((bytes[kData] & 1) != 0 ||
        bytes.substr(kData + 3, 3) != "\x9d\x01\x2a") {
      return InvalidImage("the WebP does not start with a key frame");
    }
    info.width = static_cast<int>(LittleEndian(bytes, kData + 6, 2) & 0x3fff);
    info.height = static_cast<int>(LittleEndian(bytes, kData + 8, 2) & 0x3fff);
  } else if (type == "VP8L") {
    if (bytes[kData] != 0x2f) {
      return InvalidImage("the WebP's lossless signature is wrong");
    }
    const uint32_t sides = LittleEndian(bytes, kData + 1, 4);
    info.width = static_cast<int>(sides & 0x3fff) + 1;
    info.height = static_cast<int>(sides >> 14 & 0x3fff) + 1;
  } else if (type == "VP8X") {
    constexpr int kAnimated = 0x02;
    if ((bytes[kData] & kAnimated) != 0) {
      return InvalidImage("an animated WebP: send a still picture");
    }
    info.width = static_cast<int>(LittleEndian(bytes, kData + 4, 3)) + 1;
    info.height = static_cast<int>(LittleEndian(bytes, kData + 7, 3)) + 1;
  } else {
    return InvalidImage("the WebP does not start with a picture");
  }
  return info;
}

}  // namespace attune::image
