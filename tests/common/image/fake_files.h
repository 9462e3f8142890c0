// Image files put together byte by byte, for what no encoder writes.

#ifndef ATTUNE_TESTS_COMMON_IMAGE_FAKE_FILES_H_
#define ATTUNE_TESTS_COMMON_IMAGE_FAKE_FILES_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace attune::image::test {

std::string BigEndian(uint32_t value, int bytes);
std::string LittleEndian(uint32_t value, int bytes);

// A chunk with its length and checksum.
std::string PngChunk(absl::string_view type, absl::string_view data);
// Magic and IHDR; colour type 0 grey, 2 RGB, 3 palette, 4 grey with alpha,
// 6 RGB with alpha.
std::string PngStart(uint32_t width, uint32_t height, int bits = 8,
                     int colour_type = 2);
// A whole file whose `rows`, each with its filter byte, are deflated.
std::string Png(uint32_t width, uint32_t height, int bits, int colour_type,
                absl::string_view rows, absl::string_view chunks = "");

// 0xFF, the marker, the length and `data`.
std::string JpegSegment(int marker, absl::string_view data);
// A frame header of `components` components without subsampling.
std::string JpegFrame(int width, int height, int components = 3,
                      int marker = 0xc0, int bits = 8);
// A scan of one component with a few bytes of entropy-coded data.
std::string JpegScan();

// RIFF with one chunk.
std::string Webp(absl::string_view type, absl::string_view data);

}  // namespace attune::image::test

#endif  // ATTUNE_TESTS_COMMON_IMAGE_FAKE_FILES_H_
