// The program attune-convert, run as a user runs it.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/safetensors/clip_layout.h"
#include "nlohmann/json.hpp"
#include "tests/test_util/temp_dir.h"

namespace attune {
namespace {

using testing::HasSubstr;

struct Result {
  int exit_code = -1;
  // Standard output and standard error.
  std::string text;
};

Result RunConvert(const std::string& arguments) {
  Result result;
  FILE* pipe =
      popen(absl::StrCat(ATTUNE_CONVERT, " ", arguments, " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof buffer, pipe)) {
    result.text.append(buffer, count);
  }
  result.exit_code = WEXITSTATUS(pclose(pipe));
  return result;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ConvertTest : public testing::Test {
 protected:
  int FileCount() const {
    return static_cast<int>(
        std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
  }

  test::TempDir folder_;
  const std::string out_ = folder_.File("tiny.safetensors");
};

TEST_F(ConvertTest, InitWritesAModelThatCanBeRead) {
  const Result result =
      RunConvert("--init tiny --seed 3 --output json " + out_);
  ASSERT_EQ(result.exit_code, 0) << result.text;
  const std::string bytes = ReadFile(out_);
  const nlohmann::json report = nlohmann::json::parse(result.text);
  EXPECT_EQ(report["file"], out_);
  EXPECT_EQ(report["seed"], 3);
  EXPECT_EQ(report["size_bytes"], bytes.size());

  const absl::StatusOr<safetensors::Header> header =
      safetensors::ParseHeader(bytes, static_cast<int64_t>(bytes.size()));
  ASSERT_TRUE(header.ok()) << header.status();
  const absl::StatusOr<ClipConfig> config = ReadClipConfig(*header);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->image_size, 48);
  EXPECT_EQ(config->vision_heads, 4);
  EXPECT_EQ(config->text_heads, 4);
}

TEST_F(ConvertTest, SameSeedMakesTheSameFile) {
  const std::string other = folder_.File("other.safetensors");
  ASSERT_EQ(RunConvert("--init tiny --seed 5 " + out_).exit_code, 0);
  ASSERT_EQ(RunConvert("--init tiny --seed 5 " + other).exit_code, 0);
  EXPECT_TRUE(ReadFile(out_) == ReadFile(other));
  ASSERT_EQ(RunConvert("--init tiny --seed 6 " + other).exit_code, 0);
  EXPECT_FALSE(ReadFile(out_) == ReadFile(other));
}

TEST_F(ConvertTest, WrongUsageExitsWith2AndWritesNothing) {
  for (const std::string arguments :
       {"", "--init tiny", "--init RN50 OUT", "OUT",
        "--init tiny --seed -1 OUT", "--init tiny --output xml OUT",
        "--init tiny --speed 3 OUT", "--init tiny IN OUT", "IN OUT more",
        "--seed 3 IN OUT", "--init tiny --config IN OUT",
        "--init tiny --image-size 96 OUT", "--image-size 0 IN OUT",
        "--activation relu IN OUT"}) {
    std::string line = arguments;
    if (const size_t at = line.find("OUT"); at != std::string::npos) {
      line.replace(at, 3, out_);
    }
    const Result result = RunConvert(line);
    EXPECT_EQ(result.exit_code, 2) << line << "\n" << result.text;
    EXPECT_EQ(FileCount(), 0) << line;
  }
}

TEST_F(ConvertTest, ConvertsAFileAndReportsIt) {
  ASSERT_EQ(RunConvert("--init tiny " + out_).exit_code, 0);
  const std::string larger = folder_.File("larger.safetensors");
  const Result result =
      RunConvert("--image-size 96 --output json " + out_ + " " + larger);
  ASSERT_EQ(result.exit_code, 0) << result.text;
  const nlohmann::json report = nlohmann::json::parse(result.text);
  EXPECT_EQ(report["file"], larger);
  EXPECT_EQ(report["source"], out_);
  EXPECT_EQ(report["format"], "safetensors");
  EXPECT_EQ(report["layout"], "OpenAI");
  EXPECT_EQ(report["architecture"], "ViT-12-96");
  EXPECT_EQ(report["activation"], "quick_gelu");
  EXPECT_EQ(report["context_length"], 16);
  const std::string bytes = ReadFile(larger);
  const absl::StatusOr<safetensors::Header> header =
      safetensors::ParseHeader(bytes, static_cast<int64_t>(bytes.size()));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->metadata.at("attune.architecture"), "ViT-12-96");
  EXPECT_EQ(ReadClipConfig(*header)->image_size, 96);
  EXPECT_EQ(ReadClipConfig(*header)->vision_heads, 4);
}

TEST_F(ConvertTest, BadFilesExitWith1InOneLineAndWriteNothing) {
  const std::string in = folder_.File("hostile.pt");
  std::ofstream(in) << "\x80\x02"
                       "cposix\nsystem\n";
  const Result result = RunConvert(in + " " + out_);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.text, testing::StartsWith("attune-convert: " + in + ": "));
  EXPECT_EQ(std::count(result.text.begin(), result.text.end(), '\n'), 1);
  EXPECT_EQ(FileCount(), 1);
}

TEST_F(ConvertTest, FailureExitsWith1AndSaysWhy) {
  const std::string nowhere = folder_.File("none/tiny.safetensors");
  const Result result = RunConvert("--init tiny " + nowhere);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.text, HasSubstr(nowhere));
  EXPECT_EQ(FileCount(), 0);
}

TEST_F(ConvertTest, HelpNamesArchitecturesAndExitCodes) {
  const Result result = RunConvert("--help");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.text, HasSubstr("tiny, ViT-B-32, ViT-B-16, ViT-L-14"));
  EXPECT_THAT(result.text, HasSubstr("Exit codes"));
}

}  // namespace
}  // namespace attune
