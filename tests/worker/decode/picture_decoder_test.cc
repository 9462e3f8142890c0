#include "worker/decode/picture_decoder.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/image/decode.h"
#include "common/image/preprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/test_util/status_matchers.h"
#include "worker/decode/decoder_protocol.h"

namespace attune::decode {
namespace {

using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSandboxed = false;
#else
constexpr bool kSandboxed = true;
#endif

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::vector<std::filesystem::path> GoldenImages() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(
           ATTUNE_SOURCE_DIR "/tests/golden/images")) {
    paths.push_back(entry.path());
  }
  EXPECT_FALSE(paths.empty());
  return paths;
}

// Process ids of this process's children.
std::vector<pid_t> Children() {
  std::vector<pid_t> children;
  std::istringstream text(
      ReadFile(absl::StrCat("/proc/self/task/", getpid(), "/children")));
  for (pid_t pid = 0; text >> pid;) children.push_back(pid);
  return children;
}

TEST(PictureDecoder, PixelsAreThoseOfDecodingInThisProcess) {
  PictureDecoder decoder(ATTUNE_DECODER);
  for (const auto& path : GoldenImages()) {
    const std::string file = ReadFile(path);
    for (int side : {1, 16, 224}) {
      const auto expected = image::DecodeAndPreprocess(file, side);
      std::vector<uint8_t> pixels(size_t{3} * side * side);
      const absl::Status status =
          decoder.Preprocess(file, side, absl::MakeSpan(pixels));
      EXPECT_EQ(status.ok(), expected.ok()) << path;
      if (expected.ok()) {
        EXPECT_EQ(pixels, *expected) << path;
      }
    }
    EXPECT_EQ(decoder.Check(file).message(),
              image::DecodeImage(file).status().message());
  }
  EXPECT_EQ(decoder.deaths(), 0);
}

TEST(PictureDecoder, ABadPictureIsItsOwnErrorAndKillsNothing) {
  PictureDecoder decoder(ATTUNE_DECODER);
  const std::string good = ReadFile(GoldenImages().front());
  for (const std::string& file :
       {std::string(), std::string("GIF89a"), std::string(1000, '\xff'),
        good.substr(0, good.size() / 2)}) {
    EXPECT_THAT(decoder.Check(file), HasError(kInvalid, "INVALID_IMAGE"));
    std::vector<uint8_t> pixels(3 * 16 * 16);
    EXPECT_THAT(decoder.Preprocess(file, 16, absl::MakeSpan(pixels)),
                HasError(kInvalid, "INVALID_IMAGE"));
  }
  EXPECT_THAT(decoder.Check(std::string(image::kMaxImageBytes + 1, 'x')),
              HasError(kInvalid, "INVALID_IMAGE"));
  EXPECT_EQ(decoder.deaths(), 0);
}

TEST(PictureDecoder, AMissingProgramIsNoPicturesFault) {
  PictureDecoder decoder("/nonexistent/decoder");
  const absl::Status status = decoder.Check("x");
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/decoder"));
}

class HostileTest : public testing::Test {
 protected:
  // Whether the decoder still does good pictures right, after a bad one.
  void ExpectWorks() {
    std::vector<uint8_t> pixels(3 * 4 * 4);
    EXPECT_THAT(decoder_.Preprocess("z", 4, absl::MakeSpan(pixels)), IsOk());
    EXPECT_THAT(pixels, Each('z'));
  }

  PictureDecoder decoder_{ATTUNE_HOSTILE_DECODER, absl::Seconds(2)};
};

TEST_F(HostileTest, APictureThatKillsItsDecoderFailsAlone) {
  for (const char* file : {"crash", "leave"}) {
    const absl::Status status = decoder_.Check(file);
    EXPECT_THAT(status, HasError(kInvalid, "INVALID_IMAGE"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("the decoder"));
    ExpectWorks();
  }
  // Each was tried in two.
  EXPECT_EQ(decoder_.deaths(), 4);
}

TEST_F(HostileTest, APictureThatTakesTooLongFailsAlone) {
  EXPECT_THAT(decoder_.Check("hang"), HasError(kInvalid, "INVALID_IMAGE"));
  EXPECT_EQ(decoder_.deaths(), 1);
  ExpectWorks();
}

TEST_F(HostileTest, APictureThatWantsTooMuchMemoryFailsAlone) {
  if (!kSandboxed) GTEST_SKIP() << "sanitizers take all the addresses";
  const absl::Status status = decoder_.Check("allocate");
  EXPECT_THAT(status, HasError(kInvalid, "INVALID_IMAGE"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("memory"));
  EXPECT_EQ(decoder_.deaths(), 0);
  ExpectWorks();
}

TEST_F(HostileTest, ADecoderThatWasTakenOverIsKilledWhenItReachesOut) {
  if (!kSandboxed) GTEST_SKIP() << "sanitizers make calls of their own";
  for (const char* file :
       {"open", "connect", "fork", "execute memory", "shrink memory"}) {
    const absl::Status status = decoder_.Check(file);
    EXPECT_THAT(status, HasError(kInvalid, "INVALID_IMAGE"));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("signal ", SIGSYS)))
        << file;
    ExpectWorks();
  }
}

TEST_F(HostileTest, LongMessagesAreCut) {
  EXPECT_THAT(std::string(decoder_.Check("lie").message()), SizeIs(504));
  ExpectWorks();
}

TEST_F(HostileTest, ADecoderThatDiedWhileItWaitedIsReplaced) {
  ExpectWorks();
  ASSERT_THAT(Children(), SizeIs(1));
  kill(Children().front(), SIGKILL);
  while (decoder_.deaths() == 0) ExpectWorks();
  EXPECT_THAT(decoder_.Check("bad"), HasError(kInvalid, "INVALID_IMAGE"));
  EXPECT_EQ(decoder_.deaths(), 1);
}

TEST_F(HostileTest, NoProcessIsLeft) {
  {
    PictureDecoder decoder(ATTUNE_HOSTILE_DECODER);
    EXPECT_THAT(decoder.Check("a"), IsOk());
    EXPECT_THAT(Children(), SizeIs(1));
  }
  EXPECT_THAT(Children(), IsEmpty());
}

TEST_F(HostileTest, ThreadsDoNotMeetInOneDecoder) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const char value = static_cast<char>('a' + t);
      for (int i = 0; i < 50; ++i) {
        std::vector<uint8_t> pixels(3 * 8 * 8);
        EXPECT_THAT(decoder_.Preprocess(std::string(1, value), 8,
                                        absl::MakeSpan(pixels)),
                    IsOk());
        EXPECT_THAT(pixels, Each(value));
        if (i % 10 == 0) {
          EXPECT_THAT(decoder_.Check("crash"),
                      HasError(kInvalid, "INVALID_IMAGE"));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace attune::decode
