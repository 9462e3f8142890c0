#include "common/image/decode.h"

#include "common/image/codecs.h"
#include "common/image/image_header.h"
#include "common/status_macros.h"

namespace attune::image {

absl::StatusOr<RgbImage> DecodeImage(absl::string_view bytes) {
  ATTUNE_ASSIGN_OR_RETURN(const ImageInfo info, InspectImage(bytes));
  RgbImage image;
  image.width = info.width;
  image.height = info.height;
  image.pixels.resize(size_t{3} * info.width * info.height);
  switch (info.type) {
    case ImageType::kJpeg:
      ATTUNE_RETURN_IF_ERROR(DecodeJpeg(bytes, &image));
      break;
    case ImageType::kPng:
      ATTUNE_RETURN_IF_ERROR(DecodePng(bytes, &image));
      break;
    case ImageType::kWebp:
      ATTUNE_RETURN_IF_ERROR(DecodeWebp(bytes, &image));
      break;
  }
  return image;
}

absl::Status CheckEncodable(const RgbImage& image) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxImageSide ||
      image.height > kMaxImageSide ||
      image.pixels.size() != size_t{3} * image.width * image.height) {
    return InvalidImage("an image to encode needs 1 to 16384 pixels a side");
  }
  return absl::OkStatus();
}

}  // namespace attune::image
