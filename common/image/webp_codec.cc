#include <webp/decode.h>

#include "absl/strings/str_cat.h"
#include "common/image/codecs.h"

namespace attune::image {
namespace {

absl::string_view Describe(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "the file ends too early";
    case VP8_STATUS_OUT_OF_MEMORY:
      return "not enough memory to decode it";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses a feature without decoder";
    default:
      return "its data contradict each other";
  }
}

}  // namespace

absl::Status DecodeWebp(absl::string_view bytes, RgbImage* image) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPDecoderConfig config;
  VP8StatusCode status = VP8_STATUS_INVALID_PARAM;
  if (WebPInitDecoderConfig(&config)) {
    status = WebPGetFeatures(data, bytes.size(), &config.input);
  }
  if (status == VP8_STATUS_OK) {
    if (config.input.width != image->width ||
        config.input.height != image->height || config.input.has_animation) {
      return InvalidImage("the WebP's headers contradict each other");
    }
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels.data();
    config.output.u.RGBA.stride = 3 * image->width;
    config.output.u.RGBA.size = image->pixels.size();
    status = WebPDecode(data, bytes.size(), &config);
    WebPFreeDecBuffer(&config.output);
  }
  if (status != VP8_STATUS_OK) {
    return InvalidImage(
        absl::StrCat("the WebP is cut off or damaged: ", Describe(status)));
  }
  return absl::OkStatus();
}

}  // namespace attune::image
