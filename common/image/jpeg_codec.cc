// jpeglib.h needs the two before it.
// clang-format off
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/image/codecs.h"
#include "common/image/encode.h"
#include "common/status_macros.h"

namespace attune::image {
namespace {

constexpr long kMaxDecoderBytes = 512L << 20;

// libjpeg reports errors by a call that must not return: it jumps back to the
// function that holds `jump`. Between setjmp and the jump only plain C data
// lives in these functions, so that no destructor is missed.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void JumpOut(j_common_ptr codec) {
  auto* manager = reinterpret_cast<ErrorManager*>(codec->err);
  codec->err->format_message(codec, manager->message);
  std::longjmp(manager->jump, 1);
}

// libjpeg shows damaged parts as grey and only warns. Here the warnings that
// mean lost pixels are errors; others, such as surplus bytes between markers,
// are common in good pictures.
void OnMessage(j_common_ptr codec, int level) {
  if (level >= 0) return;
  switch (codec->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      JumpOut(codec);
    default:
      break;
  }
}

void InstallErrorManager(j_common_ptr codec, ErrorManager* manager) {
  codec->err = jpeg_std_error(&manager->base);
  manager->base.error_exit = JumpOut;
  manager->base.emit_message = OnMessage;
}

// InspectImage counted the scans, but this is what the decoder counts.
void CheckScans(j_common_ptr codec) {
  auto* decoder = reinterpret_cast<j_decompress_ptr>(codec);
  if (decoder->input_scan_number > kMaxJpegScans) {
    ERREXIT(codec, JERR_BAD_PROGRESSION);
  }
}

// a · b / 255, rounded, for bytes.
int MultiplyBytes(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// `cmyk` as Adobe stores it: 255 is no ink.
void ConvertCmykRow(const uint8_t* cmyk, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int light = cmyk[3];
    for (int channel = 0; channel < 3; ++channel) {
      rgb[channel] = static_cast<uint8_t>(
          light - MultiplyBytes(255 - cmyk[channel], light));
    }
  }
}

// Runs the decoder; false when it jumped out. `cmyk_row` holds 4 · width
// bytes.
bool Decode(jpeg_decompress_struct* decoder, ErrorManager* manager,
            absl::string_view bytes, RgbImage* image, uint8_t* cmyk_row,
            bool* size_differs) {
  jpeg_progress_mgr progress = {};
  progress.progress_monitor = CheckScans;
  if (setjmp(manager->jump)) return false;
  jpeg_create_decompress(decoder);
  decoder->mem->max_memory_to_use = kMaxDecoderBytes;
  decoder->progress = &progress;
  jpeg_mem_src(decoder, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(decoder, TRUE);
  *size_differs = static_cast<int>(decoder->image_width) != image->width ||
                  static_cast<int>(decoder->image_height) != image->height;
  if (*size_differs) return true;
  const bool is_cmyk = decoder->num_components == 4;
  decoder->out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  decoder->dct_method = JDCT_ISLOW;
  jpeg_start_decompress(decoder);
  while (decoder->output_scanline < decoder->output_height) {
    const int y = static_cast<int>(decoder->output_scanline);
    JSAMPROW row = is_cmyk ? cmyk_row : image->row(y);
    jpeg_read_scanlines(decoder, &row, 1);
    if (is_cmyk) ConvertCmykRow(cmyk_row, image->width, image->row(y));
  }
  jpeg_finish_decompress(decoder);
  return true;
}

bool Encode(jpeg_compress_struct* encoder, ErrorManager* manager,
            const RgbImage& image, int quality, unsigned char** buffer,
            unsigned long* size) {
  if (setjmp(manager->jump)) return false;
  jpeg_create_compress(encoder);
  jpeg_mem_dest(encoder, buffer, size);
  encoder->image_width = image.width;
  encoder->image_height = image.height;
  encoder->input_components = 3;
  encoder->in_color_space = JCS_RGB;
  jpeg_set_defaults(encoder);
  jpeg_set_quality(encoder, quality, TRUE);
  jpeg_start_compress(encoder, TRUE);
  while (encoder->next_scanline < encoder->image_height) {
    JSAMPROW row = const_cast<uint8_t*>(
        image.row(static_cast<int>(encoder->next_scanline)));
    jpeg_write_scanlines(encoder, &row, 1);
  }
  jpeg_finish_compress(encoder);
  return true;
}

}  // namespace

absl::Status DecodeJpeg(absl::string_view bytes, RgbImage* image) {
  std::vector<uint8_t> cmyk_row(size_t{4} * image->width);
  ErrorManager manager = {};
  jpeg_decompress_struct decoder = {};
  InstallErrorManager(reinterpret_cast<j_common_ptr>(&decoder), &manager);
  bool size_differs = false;
  const bool done =
      Decode(&decoder, &manager, bytes, image, cmyk_row.data(), &size_differs);
  jpeg_destroy_decompress(&decoder);
  if (!done) {
    return InvalidImage(
        absl::StrCat("the JPEG is cut off or damaged: ", manager.message));
  }
  if (size_differs) {
    return InvalidImage("the JPEG's headers contradict each other");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> EncodeJpeg(const RgbImage& image, int quality) {
  ATTUNE_RETURN_IF_ERROR(CheckEncodable(image));
  if (quality < 1 || quality > 100) {
    return InvalidField("quality", "must lie between 1 and 100");
  }
  ErrorManager manager = {};
  jpeg_compress_struct encoder = {};
  InstallErrorManager(reinterpret_cast<j_common_ptr>(&encoder), &manager);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  const bool done = Encode(&encoder, &manager, image, quality, &buffer, &size);
  jpeg_destroy_compress(&encoder);
  std::string bytes(reinterpret_cast<const char*>(buffer), done ? size : 0);
  std::free(buffer);
  if (!done) {
    return Error(absl::StatusCode::kInternal, "ENCODING_FAILED",
                 absl::StrCat("the JPEG encoder failed: ", manager.message));
  }
  return bytes;
}

}  // namespace attune::image
