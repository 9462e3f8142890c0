#include "common/image/image_header.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/image/header_readers.h"
#include "common/status_macros.h"

namespace attune::image {
namespace {

using ::absl::string_view;

constexpr string_view kJpegMagic = "\xff\xd8\xff";
constexpr string_view kPngMagic = "\x89PNG\r\n\x1a\n";

// The brand of an ISO media file: "heic", "avif" …; "" for other files.
string_view IsoBrand(string_view bytes) {
  return bytes.substr(0, 12).size() == 12 && bytes.substr(4, 4) == "ftyp"
             ? bytes.substr(8, 4)
             : string_view();
}

// A name for what people send by mistake, or "".
string_view OtherFormat(string_view bytes) {
  struct Magic {
    string_view bytes;
    string_view name;
  };
  constexpr Magic kMagics[] = {
      {"GIF8", "GIF"},
      {string_view("II*\0", 4), "TIFF"},
      {string_view("MM\0*", 4), "TIFF"},
      {"BM", "BMP"},
      {"8BPS", "Photoshop"},
      {"%PDF", "PDF"},
      {"\xff\x0a", "JPEG XL"},
      {string_view("\0\0\0\x0cJXL ", 8), "JPEG XL"},
      {string_view("\0\0\0\x0cjP  ", 8), "JPEG 2000"},
      {string_view("\0\0\1\0", 4), "ICO"},
  };
  for (const Magic& magic : kMagics) {
    if (absl::StartsWith(bytes, magic.bytes)) return magic.name;
  }
  const string_view brand = IsoBrand(bytes);
  if (brand == "avif" || brand == "avis") return "AVIF";
  if (brand == "heic" || brand == "heix" || brand == "mif1" ||
      brand == "msf1" || brand == "hevc") {
    return "HEIC";
  }
  const string_view start = bytes.substr(0, 1024);
  if (absl::StrContains(start, "<svg")) return "SVG";
  return "";
}

absl::Status CheckSize(const ImageInfo& info) {
  const std::string size = absl::StrCat(info.width, " x ", info.height);
  if (info.width < 1 || info.height < 1) {
    return InvalidImage(absl::StrCat("the image has no pixels (", size, ")"));
  }
  if (info.width > kMaxImageSide || info.height > kMaxImageSide) {
    return InvalidImage(absl::StrCat("the image is ", size, ", but a side has ",
                                     "at most ", kMaxImageSide, " pixels"));
  }
  if (int64_t{info.width} * info.height > kMaxImagePixels) {
    return InvalidImage(absl::StrCat("the image is ", size, ", but at most ",
                                     kMaxImagePixels, " pixels are taken"));
  }
  return absl::OkStatus();
}

}  // namespace

string_view ImageTypeName(ImageType type) {
  switch (type) {
    case ImageType::kJpeg:
      return "JPEG";
    case ImageType::kPng:
      return "PNG";
    case ImageType::kWebp:
      return "WebP";
  }
  return "unknown";
}

absl::Status InvalidImage(string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_IMAGE", message);
}

absl::StatusOr<ImageInfo> InspectImage(string_view bytes) {
  if (bytes.empty()) return InvalidImage("the image is empty");
  if (static_cast<int64_t>(bytes.size()) > kMaxImageBytes) {
    return InvalidImage(absl::StrCat("the image has ", bytes.size(),
                                     " bytes, but at most ", kMaxImageBytes,
                                     " are taken"));
  }
  ImageInfo info;
  if (absl::StartsWith(bytes, kJpegMagic)) {
    ATTUNE_ASSIGN_OR_RETURN(info, ReadJpegHeader(bytes));
  } else if (absl::StartsWith(bytes, kPngMagic)) {
    ATTUNE_ASSIGN_OR_RETURN(info, ReadPngHeader(bytes));
  } else if (bytes.substr(0, 4) == "RIFF" && bytes.substr(0, 12).size() == 12 &&
             bytes.substr(8, 4) == "WEBP") {
    ATTUNE_ASSIGN_OR_RETURN(info, ReadWebpHeader(bytes));
  } else {
    const string_view other = OtherFormat(bytes);
    return InvalidImage(absl::StrCat(
        other.empty() ? "the bytes are no image that is known here"
                      : absl::StrCat("the image is in ", other, " format"),
        ": send JPEG, PNG or WebP"));
  }
  ATTUNE_RETURN_IF_ERROR(CheckSize(info));
  return info;
}

}  // namespace attune::image
