// The header of an uploaded picture: any bytes give a picture within the
// limits, or INVALID_ARGUMENT.

#include "common/image/image_header.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto info = attune::image::InspectImage(attune::fuzz::View(data, size));
  attune::fuzz::RequireInputError(info.status());
  if (info.ok()) {
    attune::fuzz::Require(info->width > 0 && info->height > 0 &&
                              info->width <= 16'384 && info->height <= 16'384 &&
                              int64_t{info->width} * info->height <= 50'000'000,
                          "a picture that is accepted is within the limits");
  }
  return 0;
}
