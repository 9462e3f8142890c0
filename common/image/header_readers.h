// The headers of the three formats, one reader each; image_header.cc picks.

#ifndef ATTUNE_COMMON_IMAGE_HEADER_READERS_H_
#define ATTUNE_COMMON_IMAGE_HEADER_READERS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/image/image_header.h"

namespace attune::image {

// Each checks what InspectImage promises of its format, apart from the limits
// on bytes, sides and pixels. REQUIRES: `bytes` starts with the format's magic
// (WebP: RIFF, size, WEBP) and has at most kMaxImageBytes.
absl::StatusOr<ImageInfo> ReadJpegHeader(absl::string_view bytes);
absl::StatusOr<ImageInfo> ReadPngHeader(absl::string_view bytes);
absl::StatusOr<ImageInfo> ReadWebpHeader(absl::string_view bytes);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_HEADER_READERS_H_
