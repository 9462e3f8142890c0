// attune-image-decoder: decodes pictures for the attune-worker that started it.

#include <cstdio>
#include <cstring>

#include "absl/status/statusor.h"
#include "common/image/decode.h"
#include "common/image/preprocess.h"
#include "common/status_macros.h"
#include "worker/decode/decoder_loop.h"

namespace attune {
namespace {

absl::Status Decode(absl::string_view file, int side,
                    absl::Span<uint8_t> pixels) {
  if (side == 0) return image::DecodeImage(file).status();
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<uint8_t> square,
                          image::DecodeAndPreprocess(file, side));
  std::memcpy(pixels.data(), square.data(), pixels.size());
  return absl::OkStatus();
}

}  // namespace
}  // namespace attune

int main(int argc, char**) {
  if (argc > 1) {
    std::fprintf(stderr,
                 "attune-image-decoder is started by attune-worker and takes "
                 "no arguments\n");
    return 2;
  }
  return attune::decode::RunDecoder(attune::Decode);
}
