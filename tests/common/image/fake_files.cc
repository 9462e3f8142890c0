#include "tests/common/image/fake_files.h"

#include <zlib.h>

#include "absl/strings/str_cat.h"

namespace attune::image::test {

std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) {
    text.push_back(static_cast<char>(value >> 8 * i));
  }
  return text;
}

std::string LittleEndian(uint32_t value, int bytes) {
  const std::string text = BigEndian(value, bytes);
  return std::string(text.rbegin(), text.rend());
}

std::string PngChunk(absl::string_view type, absl::string_view data) {
  const std::string body = absl::StrCat(type, data);
  const uint32_t checksum = static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(body.data()),
            static_cast<uInt>(body.size())));
  return absl::StrCat(BigEndian(static_cast<uint32_t>(data.size()), 4), body,
                      BigEndian(checksum, 4));
}

std::string PngStart(uint32_t width, uint32_t height, int bits,
                     int colour_type) {
  return absl::StrCat(
      "\x89PNG\r\n\x1a\n",
      PngChunk("IHDR",
               absl::StrCat(BigEndian(width, 4), BigEndian(height, 4),
                            BigEndian(bits, 1), BigEndian(colour_type, 1),
                            std::string(3, '\0'))));
}

std::string Png(uint32_t width, uint32_t height, int bits, int colour_type,
                absl::string_view rows, absl::string_view chunks) {
  uLongf size = compressBound(static_cast<uLong>(rows.size()));
  std::string deflated(size, '\0');
  compress(reinterpret_cast<Bytef*>(deflated.data()), &size,
           reinterpret_cast<const Bytef*>(rows.data()),
           static_cast<uLong>(rows.size()));
  deflated.resize(size);
  return absl::StrCat(PngStart(width, height, bits, colour_type), chunks,
                      PngChunk("IDAT", deflated), PngChunk("IEND", ""));
}

std::string JpegSegment(int marker, absl::string_view data) {
  return absl::StrCat("\xff", BigEndian(marker, 1),
                      BigEndian(static_cast<uint32_t>(data.size()) + 2, 2),
                      data);
}

std::string JpegFrame(int width, int height, int components, int marker,
                      int bits) {
  std::string data =
      absl::StrCat(BigEndian(bits, 1), BigEndian(height, 2),
                   BigEndian(width, 2), BigEndian(components, 1));
  for (int id = 1; id <= components; ++id) {
    absl::StrAppend(&data, BigEndian(id, 1), BigEndian(0x11, 1),
                    BigEndian(0, 1));
  }
  return JpegSegment(marker, data);
}

std::string JpegScan() {
  return absl::StrCat(
      JpegSegment(0xda, absl::string_view("\x01\x01\x00\x00\x3f\x00", 6)),
      absl::string_view("\x12\xff\x00\xff\xd0\x34", 6));
}

std::string Webp(absl::string_view type, absl::string_view data) {
  return absl::StrCat(
      "RIFF", LittleEndian(static_cast<uint32_t>(data.size()) + 12, 4), "WEBP",
      type, LittleEndian(static_cast<uint32_t>(data.size()), 4), data);
}

}  // namespace attune::image::test
