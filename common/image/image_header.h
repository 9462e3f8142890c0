// What an image file says about itself, read without a decoder: the server
// links this and no codec.

#ifndef ATTUNE_COMMON_IMAGE_IMAGE_HEADER_H_
#define ATTUNE_COMMON_IMAGE_IMAGE_HEADER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attune::image {

enum class ImageType { kJpeg, kPng, kWebp };

// "JPEG", "PNG", "WebP".
absl::string_view ImageTypeName(ImageType type);

struct ImageInfo {
  ImageType type;
  int width;  // Pixels, as stored: EXIF orientation is not applied.
  int height;
};

inline constexpr int64_t kMaxImageBytes = 20 << 20;
inline constexpr int kMaxImageSide = 16384;
inline constexpr int64_t kMaxImagePixels = 50'000'000;
// Ordinary progressive files have about ten scans.
inline constexpr int kMaxJpegScans = 100;
// Of every PNG chunk but IDAT: text, profiles, animation frames.
inline constexpr int64_t kMaxPngChunkBytes = 1 << 20;

// Reads the header of a JPEG, PNG or WebP file, at most one pass over
// `bytes`, and bounds-checked, so that hostile input is fine. A good answer
// does not mean that the pixels decode.
//
// INVALID_ARGUMENT, reason INVALID_IMAGE: empty, another format (named when
// known), more than a limit above, a header cut off or contradicting itself,
// a JPEG variant without decoder (12 bit, lossless, hierarchical), an animated
// WebP.
absl::StatusOr<ImageInfo> InspectImage(absl::string_view bytes);

// INVALID_ARGUMENT, reason INVALID_IMAGE; for this folder's files.
absl::Status InvalidImage(absl::string_view message);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_IMAGE_HEADER_H_
