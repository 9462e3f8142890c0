#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/image/codecs.h"
#include "common/image/encode.h"
#include "common/status_macros.h"

namespace attune::image {
namespace {

// libpng, too, jumps back on errors: only plain C data lives between setjmp
// and the jump.
struct Failure {
  char message[128];
};

[[noreturn]] void OnError(png_structp codec, png_const_charp message) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(codec));
  std::snprintf(failure->message, sizeof(failure->message), "%s", message);
  png_longjmp(codec, 1);
}

void OnWarning(png_structp, png_const_charp) {}

struct Source {
  const char* bytes;
  size_t left;
};

void ReadBytes(png_structp codec, png_bytep out, size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(codec));
  if (count > source->left) png_error(codec, "the file ends too early");
  std::memcpy(out, source->bytes, count);
  source->bytes += count;
  source->left -= count;
}

// Turns every kind of pixel into eight-bit RGB.
void SetTransformations(png_structp codec, png_infop info) {
  const int colour = png_get_color_type(codec, info);
  const int bits = png_get_bit_depth(codec, info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(codec);
  if (bits == 16) png_set_strip_16(codec);
  if ((colour & PNG_COLOR_MASK_COLOR) == 0) {
    if (bits < 8) png_set_expand_gray_1_2_4_to_8(codec);
    png_set_gray_to_rgb(codec);
  }
  if ((colour & PNG_COLOR_MASK_ALPHA) != 0) png_set_strip_alpha(codec);
  png_set_interlace_handling(codec);
  png_read_update_info(codec, info);
}

bool Decode(png_structp codec, png_infop info, Source* source,
            const RgbImage& image, uint8_t** rows, bool* size_differs) {
  if (setjmp(png_jmpbuf(codec))) return false;
  png_set_read_fn(codec, source, ReadBytes);
  png_set_user_limits(codec, kMaxImageSide, kMaxImageSide);
  png_set_chunk_malloc_max(codec, kMaxPngChunkBytes);
  // Texts, profiles and transparency are skipped unread.
  png_set_keep_unknown_chunks(codec, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_keep_unknown_chunks(codec, PNG_HANDLE_CHUNK_NEVER,
                              reinterpret_cast<png_const_bytep>("tRNS"), 1);
  png_read_info(codec, info);
  SetTransformations(codec, info);
  *size_differs =
      static_cast<int>(png_get_image_width(codec, info)) != image.width ||
      static_cast<int>(png_get_image_height(codec, info)) != image.height ||
      png_get_rowbytes(codec, info) != size_t{3} * image.width;
  if (*size_differs) return true;
  png_read_image(codec, rows);
  png_read_end(codec, nullptr);
  return true;
}

void WriteBytes(png_structp codec, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(codec))
      ->append(reinterpret_cast<const char*>(bytes), count);
}

void Flush(png_structp) {}

bool Encode(png_structp codec, png_infop info, const RgbImage& image,
            uint8_t** rows, std::string* out) {
  if (setjmp(png_jmpbuf(codec))) return false;
  png_set_write_fn(codec, out, WriteBytes, Flush);
  png_set_IHDR(codec, info, image.width, image.height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(codec, info);
  png_write_image(codec, rows);
  png_write_end(codec, info);
  return true;
}

std::vector<uint8_t*> RowsOf(const RgbImage& image) {
  std::vector<uint8_t*> rows(image.height);
  for (int y = 0; y < image.height; ++y) {
    rows[y] = const_cast<uint8_t*>(image.row(y));
  }
  return rows;
}

}  // namespace

absl::Status DecodePng(absl::string_view bytes, RgbImage* image) {
  std::vector<uint8_t*> rows = RowsOf(*image);
  Failure failure = {};
  Source source = {bytes.data(), bytes.size()};
  png_structp codec = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure,
                                             OnError, OnWarning);
  png_infop info = png_create_info_struct(codec);
  bool size_differs = false;
  const bool done =
      Decode(codec, info, &source, *image, rows.data(), &size_differs);
  png_destroy_read_struct(&codec, &info, nullptr);
  if (!done) {
    return InvalidImage(
        absl::StrCat("the PNG is cut off or damaged: ", failure.message));
  }
  if (size_differs) {
    return InvalidImage("the PNG's headers contradict each other");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> EncodePng(const RgbImage& image) {
  ATTUNE_RETURN_IF_ERROR(CheckEncodable(image));
  std::vector<uint8_t*> rows = RowsOf(image);
  Failure failure = {};
  png_structp codec = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure,
                                              OnError, OnWarning);
  png_infop info = png_create_info_struct(codec);
  std::string bytes;
  const bool done = Encode(codec, info, image, rows.data(), &bytes);
  png_destroy_write_struct(&codec, &info);
  if (!done) {
    return Error(absl::StatusCode::kInternal, "ENCODING_FAILED",
                 absl::StrCat("the PNG encoder failed: ", failure.message));
  }
  return bytes;
}

}  // namespace attune::image
