#include "client/model_folder.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/safetensors/clip_files.h"
#include "common/safetensors/clip_layout.h"
#include "common/safetensors/safetensors.h"
#include "tests/test_util/status_matchers.h"
#include "tests/test_util/temp_dir.h"

namespace attune::client {
namespace {

using test::HasError;
using test::IsOk;

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A file's tensors as 16-bit numbers.
struct File {
  safetensors::Header header;
  std::map<std::string, std::vector<uint16_t>> values;
};

File ReadTensors(const std::string& path) {
  const std::string bytes = ReadBytes(path);
  File file;
  const absl::StatusOr<safetensors::Header> header =
      safetensors::ParseHeader(bytes, static_cast<int64_t>(bytes.size()));
  EXPECT_THAT(header, IsOk());
  if (!header.ok()) return file;
  file.header = *header;
  for (const safetensors::TensorInfo& tensor : header->tensors) {
    std::vector<uint16_t>& values = file.values[tensor.name];
    values.resize((tensor.end - tensor.begin) / 2);
    std::memcpy(values.data(), &bytes[header->data_begin + tensor.begin],
                values.size() * 2);
  }
  return file;
}

class ModelFolderTest : public testing::Test {
 protected:
  // A model of 16-bit values that count up through the file.
  ModelFolderTest() { WriteSource(ExpectedTensors(config_)); }

  void WriteSource(const TensorShapes& tensors) {
    std::vector<safetensors::TensorInfo> infos;
    int64_t count = 0;
    for (const auto& [name, shape] : tensors) {
      infos.push_back({.name = name,
                       .data_type = safetensors::DataType::kFloat16,
                       .shape = shape});
      count += *safetensors::TensorBytes(infos.back().data_type, shape) / 2;
    }
    std::ofstream file(source_, std::ios::binary);
    file << safetensors::WriteHeader(infos, ClipMetadata(config_));
    for (int64_t i = 0; i < count; ++i) {
      const auto value = static_cast<uint16_t>(i * 7919);
      file.write(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }

  test::TempDir folder_;
  const std::string source_ = folder_.File("source.safetensors");
  const ClipConfig config_ = {.image_size = 16,
                              .patch_size = 8,
                              .vision_width = 8,
                              .vision_layers = 2,
                              .vision_heads = 2,
                              .text_width = 12,
                              .text_layers = 1,
                              .text_heads = 3,
                              .context_length = 5,
                              .vocabulary_size = 7,
                              .embedding_size = 6,
                              .activation = Activation::kGelu};
};

TEST_F(ModelFolderTest, AVersionWithAHeadIsRefused) {
  auto tensors = ExpectedTensors(config_);
  tensors[kHeadDirections] = {6, 6};
  tensors[kHeadSingularValues] = {6};
  WriteSource(tensors);
  EXPECT_THAT(
      WriteModelFolder(source_, ModelFormat::kHuggingFace,
                       folder_.path().string()),
      HasError(absl::StatusCode::kFailedPrecondition, "HEAD_NOT_EXPORTABLE"));
  EXPECT_FALSE(std::filesystem::exists(folder_.File("config.json")));
}

TEST_F(ModelFolderTest, HuggingFaceHasItsTensorsAndConfigs) {
  ASSERT_THAT(WriteModelFolder(source_, ModelFormat::kHuggingFace,
                               folder_.path().string()),
              IsOk());
  EXPECT_EQ(ReadBytes(folder_.File("config.json")),
            HuggingFaceConfigFile(config_));
  EXPECT_EQ(ReadBytes(folder_.File("preprocessor_config.json")),
            HuggingFacePreprocessorFile(config_));

  const File ours = ReadTensors(source_);
  const File theirs = ReadTensors(folder_.File("model.safetensors"));
  EXPECT_EQ(theirs.header.metadata.at("format"), "pt");
  size_t total = 0;
  for (const auto& [name, values] : theirs.values) total += values.size();
  size_t expected = 0;
  for (const auto& [name, values] : ours.values) expected += values.size();
  EXPECT_EQ(total, expected);

  EXPECT_EQ(theirs.values.at("text_model.embeddings.token_embedding.weight"),
            ours.values.at("token_embedding.weight"));
  EXPECT_EQ(theirs.values.at("logit_scale"), ours.values.at("logit_scale"));
  // The key's weight is the second third of the rows.
  const std::vector<uint16_t>& all =
      ours.values.at("visual.transformer.resblocks.1.attn.in_proj_weight");
  EXPECT_EQ(
      theirs.values.at("vision_model.encoder.layers.1.self_attn.k_proj.weight"),
      std::vector<uint16_t>(all.begin() + 64, all.begin() + 128));
  // The projection [8, 6] is the transpose.
  const std::vector<uint16_t>& projection = ours.values.at("visual.proj");
  const std::vector<uint16_t>& transposed =
      theirs.values.at("visual_projection.weight");
  for (int row = 0; row < 8; ++row) {
    for (int column = 0; column < 6; ++column) {
      EXPECT_EQ(transposed[column * 8 + row], projection[row * 6 + column]);
    }
  }
}

TEST_F(ModelFolderTest, OpenClipHasTheSameTensorsAndItsConfig) {
  ASSERT_THAT(WriteModelFolder(source_, ModelFormat::kOpenClip,
                               folder_.path().string()),
              IsOk());
  EXPECT_EQ(ReadBytes(folder_.File("open_clip_config.json")),
            OpenClipConfigFile(config_));
  EXPECT_EQ(ReadTensors(folder_.File("open_clip_model.safetensors")).values,
            ReadTensors(source_).values);
}

TEST_F(ModelFolderTest, AFileThatIsNoModelLeavesTheFolderAsItWas) {
  std::ofstream(source_) << "hello, this is no model";
  EXPECT_THAT(WriteModelFolder(source_, ModelFormat::kOpenClip,
                               folder_.path().string()),
              HasError(absl::StatusCode::kInvalidArgument, "NOT_SAFETENSORS"));
  EXPECT_EQ(
      std::distance(std::filesystem::directory_iterator(folder_.path()), {}),
      1);
}

TEST_F(ModelFolderTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_THAT(
      WriteModelFolder(source_, ModelFormat::kOpenClip, folder_.File("none")),
      HasError(absl::StatusCode::kFailedPrecondition, "FILE_NOT_WRITTEN"));
}

TEST(ModelFormatTest, OtherNamesAreRefused) {
  EXPECT_THAT(ParseModelFormat("onnx"),
              HasError(absl::StatusCode::kInvalidArgument, "INVALID_FORMAT"));
}

}  // namespace
}  // namespace attune::client
