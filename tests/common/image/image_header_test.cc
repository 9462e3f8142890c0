#include "common/image/image_header.h"

#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/image/fake_files.h"

namespace attune::image {
namespace {

using test::BigEndian;
using test::JpegFrame;
using test::JpegScan;
using test::JpegSegment;
using test::LittleEndian;
using test::PngChunk;
using test::PngStart;
using test::Webp;

const std::string kJpegStart = "\xff\xd8";
const std::string kJpegEnd = "\xff\xd9";

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string JpegOf(const std::string& frame, int scans = 1) {
  return kJpegStart + frame + Repeated(JpegScan(), scans) + kJpegEnd;
}

std::string PngOf(uint32_t width, uint32_t height,
                  const std::string& chunks = "") {
  return PngStart(width, height) + chunks + PngChunk("IDAT", "x") +
         PngChunk("IEND", "");
}

std::string Vp8(int width, int height) {
  return Webp("VP8 ",
              absl::StrCat(std::string(3, '\0'), "\x9d\x01\x2a",
                           LittleEndian(width, 2), LittleEndian(height, 2)));
}

std::string Vp8l(uint32_t width, uint32_t height) {
  return Webp(
      "VP8L",
      absl::StrCat("\x2f", LittleEndian((width - 1) | (height - 1) << 14, 4),
                   "12345"));
}

std::string Vp8x(uint32_t width, uint32_t height, int flags = 0) {
  return Webp("VP8X",
              absl::StrCat(LittleEndian(flags, 4), LittleEndian(width - 1, 3),
                           LittleEndian(height - 1, 3)));
}

struct GoodCase {
  const char* name;
  std::string bytes;
  ImageType type;
  int width;
  int height;
};

class GoodHeader : public testing::TestWithParam<GoodCase> {};

TEST_P(GoodHeader, GivesTypeAndSize) {
  const auto info = InspectImage(GetParam().bytes);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->type, GetParam().type);
  EXPECT_EQ(info->width, GetParam().width);
  EXPECT_EQ(info->height, GetParam().height);
}

INSTANTIATE_TEST_SUITE_P(
    Headers, GoodHeader,
    testing::Values(
        GoodCase{"Jpeg", JpegOf(JpegFrame(300, 200)), ImageType::kJpeg, 300,
                 200},
        GoodCase{"JpegGreyProgressive",
                 JpegOf(JpegFrame(7, 9, 1, 0xc2), kMaxJpegScans),
                 ImageType::kJpeg, 7, 9},
        GoodCase{"JpegCmykAfterOtherSegmentsAndFilling",
                 kJpegStart + JpegSegment(0xe1, "Exif\xff\xda\xff\xc0") +
                     "\xff\xff" + JpegFrame(16384, 1, 4) + JpegScan(),
                 ImageType::kJpeg, 16384, 1},
        GoodCase{"Png", PngOf(16384, 3051), ImageType::kPng, 16384, 3051},
        GoodCase{"PngWithTextAtTheLimit",
                 PngOf(1, 1, PngChunk("tEXt", std::string(1 << 20, 'a'))),
                 ImageType::kPng, 1, 1},
        GoodCase{"PngOfExactlyTwentyMebibytes",
                 PngOf(2, 2) + std::string((20 << 20) - PngOf(2, 2).size(), 0),
                 ImageType::kPng, 2, 2},
        GoodCase{"WebpLossy", Vp8(640, 480), ImageType::kWebp, 640, 480},
        GoodCase{"WebpLossless", Vp8l(1, 16384), ImageType::kWebp, 1, 16384},
        GoodCase{"WebpExtended", Vp8x(500, 400, 0x10), ImageType::kWebp, 500,
                 400}),
    [](const auto& info) { return std::string(info.param.name); });

struct BadCase {
  const char* name;
  std::string bytes;
  const char* message;  // A part of it.
};

class BadHeader : public testing::TestWithParam<BadCase> {};

TEST_P(BadHeader, ReturnsInvalidImage) {
  const auto info = InspectImage(GetParam().bytes);
  EXPECT_EQ(info.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorReason(info.status()), "INVALID_IMAGE");
  EXPECT_THAT(std::string(info.status().message()),
              testing::HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    OtherFormats, BadHeader,
    testing::Values(
        BadCase{"Empty", "", "empty"},
        BadCase{"Random", "\x13\x37random bytes", "no image that is known"},
        BadCase{"OneByte", "\xff", "no image that is known"},
        BadCase{"Gif", "GIF89a\1\0\1", "GIF format"},
        BadCase{"Svg", "<?xml version='1.0'?>\n<svg width='1'/>", "SVG format"},
        BadCase{"TiffLittleEndian", std::string("II*\0\x08", 5), "TIFF format"},
        BadCase{"TiffBigEndian", std::string("MM\0*\x08", 5), "TIFF format"},
        BadCase{"Heic", std::string("\0\0\0\x18", 4) + "ftypheic",
                "HEIC format"},
        BadCase{"Avif", std::string("\0\0\0\x18", 4) + "ftypavif",
                "AVIF format"},
        BadCase{"Bmp", "BM123456789", "BMP format"},
        BadCase{"JpegXl", "\xff\x0a\1\2", "JPEG XL format"},
        BadCase{"WavInRiff", std::string("RIFF\x10\0\0\0WAVEfmt ", 16),
                "no image that is known"}),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Limits, BadHeader,
    testing::Values(
        BadCase{"BombPng", PngOf(30000, 30000) + std::string(100000, 'x'),
                "30000 x 30000"},
        BadCase{"PngOfWidthZero", PngOf(0, 5), "no pixels (0 x 5)"},
        BadCase{"PngOfHeightZero", PngOf(5, 0), "no pixels (5 x 0)"},
        BadCase{"PngOnePixelTooWide", PngOf(16385, 1), "16384"},
        BadCase{"PngSideThatIsNoInt", PngOf(0x80000000u, 1), "no legal"},
        BadCase{"TooManyPixels", PngOf(16384, 3052), "50000000"},
        BadCase{"TooManyBytes", PngOf(2, 2) + std::string(20 << 20, 'x'),
                "20971520"},
        BadCase{"PngWithLargeText",
                PngOf(1, 1, PngChunk("tEXt", std::string(8 << 20, 'a'))),
                "chunk 'tEXt' of 8388608 bytes"},
        BadCase{"PngTextOneByteTooLong",
                PngOf(1, 1, PngChunk("iTXt", std::string((1 << 20) + 1, 'a'))),
                "chunk 'iTXt'"},
        BadCase{"PngChunkThatClaimsFourGigabytes",
                PngStart(1, 1) + BigEndian(0xffffffffu, 4) + "zTXt12345678",
                "chunk 'zTXt'"},
        BadCase{"JpegOfThousandScans", JpegOf(JpegFrame(8, 8), 1000),
                "more than 100 scans"},
        BadCase{"JpegOneScanTooMany", JpegOf(JpegFrame(8, 8), 101),
                "more than 100 scans"},
        BadCase{"JpegTooTall", JpegOf(JpegFrame(1, 16385)), "16384"},
        BadCase{"JpegOfHeightZero", JpegOf(JpegFrame(8, 0)), "no pixels"},
        BadCase{"WebpOfWidthZero", Vp8(0, 4), "no pixels"},
        BadCase{"WebpTooLarge", Vp8x(1 << 24, 1 << 24), "16384"}),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Contradictions, BadHeader,
    testing::Values(
        BadCase{"JpegMagicAlone", "\xff\xd8\xff", "cut off"},
        BadCase{"JpegWithoutFrame", kJpegStart + JpegSegment(0xe0, "JFIF"),
                "cut off"},
        BadCase{"JpegWithoutScan", kJpegStart + JpegFrame(8, 8) + kJpegEnd,
                "cut off"},
        BadCase{"JpegScanFirst", kJpegStart + JpegScan() + JpegFrame(8, 8),
                "before its frame"},
        BadCase{"JpegTwoFrames",
                JpegOf(JpegFrame(8, 8) + JpegFrame(9000, 9000)),
                "two frame headers"},
        BadCase{"JpegSegmentOfNoLength",
                kJpegStart + std::string("\xff\xe0\0\1", 4) + JpegFrame(8, 8),
                "length 0"},
        BadCase{"JpegFrameTooShort", kJpegStart + JpegSegment(0xc0, "\x08"),
                "cut off"},
        BadCase{"JpegTwelveBit", JpegOf(JpegFrame(8, 8, 3, 0xc1, 12)),
                "12 bits"},
        BadCase{"JpegLossless", JpegOf(JpegFrame(8, 8, 3, 0xc3)), "lossless"},
        BadCase{"JpegOfTwoComponents", JpegOf(JpegFrame(8, 8, 2)),
                "2 colour components"},
        BadCase{"PngMagicAlone", "\x89PNG\r\n\x1a\n", "cut off"},
        BadCase{"PngWithoutHeader",
                "\x89PNG\r\n\x1a\n" + PngChunk("IDAT", std::string(30, 'x')),
                "does not start with its header"},
        BadCase{"PngWithoutPixels", PngStart(4, 4) + PngChunk("IEND", ""),
                "no pixels"},
        BadCase{"PngCutOffBeforePixels", PngStart(4, 4), "no pixels"},
        BadCase{"WebpCutOff", Vp8(4, 4).substr(0, 25), "cut off"},
        BadCase{"WebpInterFrame",
                Webp("VP8 ", std::string("\1\0\0\x9d\x01\x2a\4\0\4\0", 10)),
                "key frame"},
        BadCase{"WebpWrongStartCode", Webp("VP8 ", std::string(10, '\0')),
                "key frame"},
        BadCase{"WebpWrongSignature", Webp("VP8L", "0123456789"), "signature"},
        BadCase{"WebpAnimated", Vp8x(4, 4, 2), "animated"},
        BadCase{"WebpOfUnknownChunk", Webp("ABCD", "0123456789"),
                "start with a picture"}),
    [](const auto& info) { return std::string(info.param.name); });

// Under the address sanitizer this finds reads past the end.
TEST(InspectImage, EveryPrefixAndManyDamagedHeadersAreAnswered) {
  std::mt19937 random(1);
  for (const std::string& whole :
       {JpegOf(JpegSegment(0xe0, "JFIF\0\1") + JpegFrame(300, 200), 3),
        PngOf(20, 30, PngChunk("tEXt", "a")), Vp8(64, 48), Vp8l(9, 9),
        Vp8x(50, 40)}) {
    for (size_t size = 0; size <= whole.size(); ++size) {
      // A copy of exactly that size.
      const std::string cut(whole, 0, size);
      const auto info = InspectImage(cut);
      if (!info.ok()) {
        ASSERT_EQ(ErrorReason(info.status()), "INVALID_IMAGE");
      }
    }
    for (int i = 0; i < 2000; ++i) {
      std::string damaged = whole;
      for (int flips = 0; flips < 3; ++flips) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      const auto info = InspectImage(damaged);
      if (info.ok()) {
        ASSERT_GE(info->width, 1);
        ASSERT_LE(info->width, kMaxImageSide);
      }
    }
  }
}

}  // namespace
}  // namespace attune::image
