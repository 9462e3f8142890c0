#ifndef ATTUNE_COMMON_IMAGE_ENCODE_H_
#define ATTUNE_COMMON_IMAGE_ENCODE_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/image/rgb_image.h"

namespace attune::image {

// The image as a PNG file, without loss.
// INVALID_ARGUMENT, reason INVALID_IMAGE: an image without pixels or with a
// side above kMaxImageSide.
absl::StatusOr<std::string> EncodePng(const RgbImage& image);

// The image as a baseline JPEG file with halved chroma; `quality` 1 to 100.
// INVALID_ARGUMENT, reason INVALID_IMAGE: as EncodePng; reason INVALID_FIELD:
// a quality out of range.
absl::StatusOr<std::string> EncodeJpeg(const RgbImage& image, int quality);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_ENCODE_H_
