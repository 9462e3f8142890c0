#ifndef ATTUNE_COMMON_IMAGE_DECODE_H_
#define ATTUNE_COMMON_IMAGE_DECODE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/image/rgb_image.h"

namespace attune::image {

// Decodes a JPEG, PNG or WebP file as Pillow's Image.open(…).convert("RGB"):
//
//   grey            R = G = B
//   palette         looked up; transparent entries keep their colour
//   alpha           dropped, not blended
//   CMYK, YCCK      taken as Adobe writes them (inverted);
//                   R = 255 − K − C (255 − K) / 255, and so on
//   16 bit          the high byte (Pillow clips 16-bit grey instead)
//   EXIF rotation, colour profiles, gamma    ignored
//
// JPEG uses libjpeg's accurate integer transform and smooth chroma, PNG's
// bits below 8 are spread over the range.
//
// INVALID_ARGUMENT, reason INVALID_IMAGE: what InspectImage refuses, and files
// that are cut off or damaged as far as their decoder notices; Pillow shows
// some damaged JPEG files as they are. Thread-safe. Memory: the pixels, and up
// to 512 MiB within a progressive JPEG.
absl::StatusOr<RgbImage> DecodeImage(absl::string_view bytes);

}  // namespace attune::image

#endif  // ATTUNE_COMMON_IMAGE_DECODE_H_
