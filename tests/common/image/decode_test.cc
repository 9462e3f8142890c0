#include "common/image/decode.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/image/encode.h"
#include "common/image/image_header.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/image/fake_files.h"
#include "tests/common/image/golden_files.h"
#include "tests/common/image/reference_resize.h"

namespace attune::image {
namespace {

using test::GoldenFile;
using test::Png;
using test::SyntheticImage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void ExpectInvalidImage(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(status), "INVALID_IMAGE");
}

TEST(DecodeImage, EveryKindOfPixelDecodesAsPillowDoes) {
  const auto golden = test::GoldenJson("images.json");
  EXPECT_GE(golden.size(), 20u);
  for (const auto& row : golden) {
    const std::string file = row["file"];
    const auto image = DecodeImage(GoldenFile("images/" + file));
    ASSERT_TRUE(image.ok()) << file << ": " << image.status();
    EXPECT_EQ(image->width, 19) << file;
    EXPECT_EQ(image->height, 13) << file;
    EXPECT_EQ(test::Digest(image->pixels), row["sha256"]) << file;
  }
}

TEST(DecodeImage, GreyOfSixteenBitsKeepsItsHighByte) {
  const auto image =
      DecodeImage(Png(2, 1, 16, 0, absl::string_view("\0\x12\xff\xfe\x00", 5)));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT(image->pixels, ElementsAre(0x12, 0x12, 0x12, 0xfe, 0xfe, 0xfe));
}

TEST(DecodeImage, AnyExifOrientationIsIgnored) {
  const std::string plain = *EncodeJpeg(SyntheticImage(20, 10), 90);
  const auto expected = DecodeImage(plain);
  ASSERT_TRUE(expected.ok());
  for (int orientation = 1; orientation <= 8; ++orientation) {
    // One directory with one entry, of type SHORT, in big-endian order.
    const std::string exif =
        absl::StrCat(absl::string_view("Exif\0\0MM\0*\0\0\0\x08\0\x01", 16),
                     absl::string_view("\x01\x12\0\x03\0\0\0\x01\0", 9),
                     test::BigEndian(orientation, 1), std::string(6, '\0'));
    const auto image = DecodeImage(
        plain.substr(0, 2) + test::JpegSegment(0xe1, exif) + plain.substr(2));
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->width, 20);
    EXPECT_EQ(image->pixels, expected->pixels) << orientation;
  }
}

TEST(DecodeImage, FileCutOffAnywhereIsInvalid) {
  for (const char* file : {"rgb.png", "palette.png", "ycc_420.jpg",
                           "progressive.jpg", "lossy.webp", "lossless.webp"}) {
    const std::string whole = GoldenFile(absl::StrCat("images/", file));
    for (size_t size = 0; size + 2 < whole.size(); ++size) {
      SCOPED_TRACE(absl::StrCat(file, " cut to ", size));
      ExpectInvalidImage(DecodeImage(whole.substr(0, size)).status());
    }
  }
}

TEST(DecodeImage, PngWithOneFlippedBitInItsPixelsIsInvalid) {
  std::string file = GoldenFile("images/rgb.png");
  file[file.find("IDAT") + 20] ^= 1;
  const auto image = DecodeImage(file);
  ExpectInvalidImage(image.status());
  EXPECT_THAT(std::string(image.status().message()), HasSubstr("damaged"));
}

TEST(DecodeImage, JpegWhoseDataEndInAMarkerIsInvalid) {
  const std::string file = *EncodeJpeg(SyntheticImage(64, 64), 90);
  // Half of the scan, then the end of image.
  ExpectInvalidImage(
      DecodeImage(file.substr(0, file.size() / 2) + "\xff\xd9").status());
}

TEST(DecodeImage, HeaderWithoutDecodableDataIsInvalid) {
  ExpectInvalidImage(
      DecodeImage("\xff\xd8" + test::JpegFrame(8, 8, 1) + test::JpegScan())
          .status());
  ExpectInvalidImage(DecodeImage(Png(4, 4, 8, 2, "too few rows")).status());
  // Three bits a sample do not exist.
  ExpectInvalidImage(
      DecodeImage(Png(4, 4, 3, 0, std::string(100, '\0'))).status());
  // Palette without PLTE.
  ExpectInvalidImage(
      DecodeImage(Png(4, 4, 8, 3, std::string(100, '\0'))).status());
  ExpectInvalidImage(
      DecodeImage(test::Webp("VP8L", "\x2f" + std::string(20, '\0'))).status());
}

TEST(DecodeImage, WhatTheHeaderRefusesIsNotDecoded) {
  const auto image = DecodeImage(Png(30000, 30000, 8, 2, "x"));
  ExpectInvalidImage(image.status());
  EXPECT_THAT(std::string(image.status().message()),
              HasSubstr("30000 x 30000"));
}

// Under the address sanitizer this finds what the checks miss.
TEST(DecodeImage, DamagedFilesAreAnswered) {
  std::mt19937 random(7);
  for (const auto& row : test::GoldenJson("images.json")) {
    const std::string whole =
        GoldenFile(absl::StrCat("images/", row["file"].get<std::string>()));
    for (int i = 0; i < 100; ++i) {
      std::string damaged = whole;
      for (int flips = 0; flips < 4; ++flips) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      const auto image = DecodeImage(damaged);
      if (image.ok()) {
        EXPECT_EQ(image->pixels.size(),
                  size_t{3} * image->width * image->height);
      } else {
        ExpectInvalidImage(image.status());
      }
    }
  }
}

TEST(Encode, PngDecodesToTheSamePixels) {
  const RgbImage image = SyntheticImage(61, 47);
  const auto png = EncodePng(image);
  ASSERT_TRUE(png.ok()) << png.status();
  EXPECT_EQ(InspectImage(*png)->type, ImageType::kPng);
  EXPECT_EQ(DecodeImage(*png)->pixels, image.pixels);
}

TEST(Encode, JpegDecodesToNearbyPixels) {
  RgbImage image{64, 48, {}};
  for (int y = 0; y < 48; ++y) {
    for (int x = 0; x < 64; ++x) {
      for (int value : {2 * x, 3 * y, x + y}) {
        image.pixels.push_back(static_cast<uint8_t>(value));
      }
    }
  }
  const auto jpeg = EncodeJpeg(image, 95);
  ASSERT_TRUE(jpeg.ok()) << jpeg.status();
  EXPECT_EQ(InspectImage(*jpeg)->type, ImageType::kJpeg);
  const auto decoded = DecodeImage(*jpeg);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    ASSERT_NEAR(decoded->pixels[i], image.pixels[i], 12) << i;
  }
}

TEST(Encode, ImageWithoutPixelsIsInvalid) {
  ExpectInvalidImage(EncodePng(RgbImage()).status());
  ExpectInvalidImage(EncodeJpeg(RgbImage{2, 2, {1, 2, 3}}, 90).status());
}

TEST(Encode, QualityOutOfRangeIsAnInvalidField) {
  for (int quality : {0, 101}) {
    const auto jpeg = EncodeJpeg(SyntheticImage(8, 8), quality);
    EXPECT_EQ(jpeg.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ErrorReason(jpeg.status()), "INVALID_FIELD");
  }
}

}  // namespace
}  // namespace attune::image
