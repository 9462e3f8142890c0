// One decoder a format, each in the one file that sees its library.

#ifndef ATTUNE_COMMON_IMAGE_CODECS_H_
#define ATTUNE_COMMON_IMAGE_CODECS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/image/image_header.h"
#include "common/image/rgb_image.h"

namespace attune::image {

// Each fills `image`, whose size and pixel buffer are those of the header that
// InspectImage read from `bytes`. Returns INVALID_ARGUMENT, reason
// INVALID_IMAGE, for cut off or damaged files and for ones whose decoder finds
// another size.
absl::Status DecodeJpeg(absl::string_view bytes, RgbImage* image);
absl::Status DecodePng(absl::string_view bytes, RgbImage* image);
absl::Status DecodeWebp(absl::string_view bytes, RgbImage* image);

// INVALID_ARGUMENT, reason INVALID_IMAGE, for what cannot be encoded.
absl::Status CheckEncodable(const RgbImage& image);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_CODECS_H_
