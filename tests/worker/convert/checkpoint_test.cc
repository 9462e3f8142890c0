// Whole checkpoints, as ConvertCheckpoint reads them.

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/safetensors/clip_files.h"
#include "nlohmann/json.hpp"
#include "tests/test_util/shared_data.h"
#include "tests/test_util/temp_dir.h"
#include "tests/worker/convert/archive_writer.h"
#include "worker/convert/convert.h"
#include "worker/model/init.h"
#include "worker/model/safetensors_io.h"

namespace attune::convert {
namespace {

using testing::HasSubstr;

class CheckpointTest : public testing::Test {
 protected:
  // The tensors under the names of a layout.
  model::Tensors InLayout(ClipLayout layout) const {
    model::Tensors renamed;
    for (const LayoutTensor& part : LayoutTensors(config_, layout)) {
      at::Tensor tensor = tensors_.at(part.source);
      if (tensor.dim() > 0 && !part.transposed) {
        tensor =
            tensor.slice(0, part.first_row, part.first_row + part.shape[0]);
      }
      renamed[part.name] = (part.transposed ? tensor.t() : tensor).contiguous();
    }
    return renamed;
  }

  std::string Save(const std::string& name, const model::Tensors& tensors,
                   const safetensors::Metadata& metadata = {}) {
    const absl::Status status =
        model::SaveTensors(folder_.File(name), tensors, metadata);
    EXPECT_TRUE(status.ok()) << status;
    return folder_.File(name);
  }

  std::string WriteText(const std::string& name, const std::string& text) {
    std::ofstream(folder_.File(name)) << text;
    return folder_.File(name);
  }

  void ExpectConverts(const std::string& path, const ConvertOptions& options,
                      const ClipConfig& config) {
    const absl::StatusOr<Converted> converted =
        ConvertCheckpoint(path, options);
    ASSERT_TRUE(converted.ok()) << converted.status();
    EXPECT_EQ(converted->config, config);
    ASSERT_EQ(converted->tensors.size(), tensors_.size());
    for (const auto& [name, tensor] : tensors_) {
      EXPECT_TRUE(converted->tensors.at(name).equal(tensor)) << name;
    }
  }

  void ExpectRefused(const std::string& path, const std::string& reason,
                     const std::string& message,
                     const ConvertOptions& options = {}) {
    const absl::Status status = ConvertCheckpoint(path, options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(ErrorReason(status), reason) << status;
    EXPECT_THAT(status.message(), HasSubstr(message));
    EXPECT_THAT(status.message(), HasSubstr(folder_.path().string()));
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  }

  test::TempDir folder_;
  const ClipConfig config_ = {.image_size = 16,
                              .patch_size = 4,
                              .vision_width = 8,
                              .vision_layers = 2,
                              .vision_heads = 2,
                              .text_width = 12,
                              .text_layers = 1,
                              .text_heads = 3,
                              .context_length = 5,
                              .vocabulary_size = 7,
                              .embedding_size = 6,
                              .activation = Activation::kGelu,
                              .pixel_mean = {0.5f, 0.25f, 0.125f},
                              .pixel_deviation = {0.5f, 0.75f, 1}};
  model::Tensors tensors_ = model::RandomTensors(config_, 1);
};

TEST_F(CheckpointTest, HuggingFaceWithItsConfigFiles) {
  const std::string path =
      Save("model.safetensors", InLayout(ClipLayout::kHuggingFace));
  WriteText("config.json", HuggingFaceConfigFile(config_));
  WriteText("preprocessor_config.json", HuggingFacePreprocessorFile(config_));
  ExpectConverts(path, {}, config_);
  // The folder stands for its file.
  ExpectConverts(folder_.path().string(), {}, config_);
}

TEST_F(CheckpointTest, HuggingFaceBinWithTheConfigElsewhere) {
  const std::string path = folder_.File("pytorch_model.bin");
  model::Tensors tensors = InLayout(ClipLayout::kHuggingFace);
  // Older files hold them.
  tensors["text_model.embeddings.position_ids"] = at::arange(5).view({1, 5});
  WriteStateDict(path, tensors);
  const std::string config =
      WriteText("other.json", HuggingFaceConfigFile(config_));
  ClipConfig expected = config_;
  expected.pixel_mean = ClipConfig().pixel_mean;
  expected.pixel_deviation = ClipConfig().pixel_deviation;
  ExpectConverts(path, {.config_path = config}, expected);
}

TEST_F(CheckpointTest, HuggingFaceWithoutItsConfigIsRefused) {
  ExpectRefused(Save("model.safetensors", InLayout(ClipLayout::kHuggingFace)),
                "INVALID_CLIP", "config.json");
}

TEST_F(CheckpointTest, OpenClipWithItsConfig) {
  WriteText("open_clip_config.json", OpenClipConfigFile(config_));
  ExpectConverts(
      Save("open_clip_model.safetensors", InLayout(ClipLayout::kOpenAi)), {},
      config_);
  ExpectConverts(Save("custom.safetensors", InLayout(ClipLayout::kCustomText)),
                 {}, config_);
  const std::string training = folder_.File("epoch_3.pt");
  WriteStateDict(training, InLayout(ClipLayout::kOpenAi), true);
  ExpectConverts(training, {}, config_);
}

TEST_F(CheckpointTest, AFileOfOursIsReadWithItsMetadata) {
  ExpectConverts(Save("ours.safetensors", tensors_, ClipMetadata(config_)), {},
                 config_);
}

TEST_F(CheckpointTest, WithoutAConfigurationItIsOpenAis) {
  ClipConfig config = config_;
  config.vision_width = 64;
  config.text_width = 128;
  tensors_ = model::RandomTensors(config, 2);
  const std::string path = folder_.File("state.pt");
  WriteStateDict(path, tensors_);
  absl::StatusOr<Converted> converted = ConvertCheckpoint(path, {});
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_TRUE(converted->assumed_activation);
  EXPECT_EQ(converted->config.activation, Activation::kQuickGelu);
  EXPECT_EQ(converted->config.vision_heads, 1);
  EXPECT_EQ(converted->config.text_heads, 2);
  converted = ConvertCheckpoint(path, {.activation = Activation::kGelu});
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_FALSE(converted->assumed_activation);
  EXPECT_EQ(converted->config.activation, Activation::kGelu);
}

TEST_F(CheckpointTest, AnActivationThatIsKnownCannotBeGiven) {
  ExpectRefused(Save("ours.safetensors", tensors_, ClipMetadata(config_)),
                "INVALID_OPTION", "says it already",
                {.activation = Activation::kGelu});
}

// Every entry of OpenAI's archive, with random values.
TEST_F(CheckpointTest, OpenAisArchiveOfViTB32) {
  ATTUNE_SKIP_WITHOUT_SHARED_DATA();
  std::ifstream file(test::SharedDataDir() + "/golden/vit-b-32/ViT-B-32.json");
  const nlohmann::json entries = nlohmann::json::parse(file);
  model::Tensors tensors;
  for (const auto& [name, entry] : entries.items()) {
    if (!entry.contains("dtype")) continue;
    const std::string type = entry["dtype"];
    if (type == "int64") continue;
    tensors[name] = at::full(entry["shape"].get<std::vector<int64_t>>(), 0.5,
                             type == "float16" ? at::kHalf : at::kFloat);
  }
  ASSERT_EQ(tensors.size(), 302u);
  tensors["visual.proj"].uniform_(-1, 1);
  const std::string path = folder_.File("ViT-B-32.pt");
  WriteTorchScript(path, tensors);
  const absl::StatusOr<Converted> converted = ConvertCheckpoint(path, {});
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_EQ(converted->kind, SourceFile::Kind::kTorchScript);
  EXPECT_FALSE(converted->assumed_activation);
  EXPECT_EQ(converted->config, *model::NamedConfig("ViT-B-32"));
  EXPECT_EQ(ArchitectureName(converted->config), "ViT-B-32");
  ASSERT_EQ(converted->tensors.size(), tensors.size());
  for (const auto& [name, tensor] : converted->tensors) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
  }
  EXPECT_TRUE(converted->tensors.at("visual.proj")
                  .equal(tensors.at("visual.proj").to(at::kFloat)));
}

TEST_F(CheckpointTest, TensorsThatAreWrongAreNamedAsTheFileNamesThem) {
  WriteText("config.json", HuggingFaceConfigFile(config_));
  const std::string name =
      "vision_model.encoder.layers.1.self_attn.k_proj.bias";
  const model::Tensors good = InLayout(ClipLayout::kHuggingFace);
  model::Tensors tensors = good;
  tensors.erase(name);
  ExpectRefused(Save("missing.safetensors", tensors), "INVALID_CLIP",
                absl::StrCat("'", name, "' is missing"));
  tensors = good;
  tensors[name] = at::zeros({9});
  ExpectRefused(Save("shape.safetensors", tensors), "INVALID_CLIP",
                absl::StrCat("'", name, "' has the shape [9]; [8]"));
  tensors = good;
  tensors["vision_model.head.weight"] = at::zeros({2});
  ExpectRefused(Save("extra.safetensors", tensors), "INVALID_CLIP",
                "'vision_model.head.weight' does not belong");
  tensors = good;
  tensors[name][3] = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused(Save("nan.safetensors", tensors), "INVALID_CLIP",
                absl::StrCat("'", name, "' has values that are not finite"));
  tensors = good;
  tensors[name] = at::zeros({8}, at::kLong);
  ExpectRefused(Save("integers.safetensors", tensors), "INVALID_CLIP",
                absl::StrCat("'", name, "' has the type Long"));
}

TEST_F(CheckpointTest, DoublesAreRefused) {
  WriteText("open_clip_config.json", OpenClipConfigFile(config_));
  tensors_["visual.proj"] = tensors_["visual.proj"].to(at::kDouble);
  const std::string path = folder_.File("double.pt");
  WriteStateDict(path, tensors_);
  ExpectRefused(path, "INVALID_CLIP", "'visual.proj' has the type Double");
}

TEST_F(CheckpointTest, OtherTowersAreUnsupported) {
  for (const std::string name :
       {"visual.layer1.0.conv1.weight", "visual.trunk.norm.weight",
        "text.transformer.encoder.layer.0.output.dense.bias"}) {
    tensors_[name] = at::zeros({1});
    ExpectRefused(Save("tower.safetensors", tensors_), "UNSUPPORTED_TOWER",
                  "supported");
    tensors_.erase(name);
  }
}

TEST_F(CheckpointTest, UnknownLayoutsAreRefused) {
  ExpectRefused(Save("bert.safetensors", {{"encoder.weight", at::zeros({1})}}),
                "INVALID_CLIP", "'encoder.weight' belongs to no layout");
  ExpectRefused(Save("none.safetensors", {}), "INVALID_CLIP", "no tensor");
}

TEST_F(CheckpointTest, OtherFilesAreRefused) {
  ExpectRefused(WriteText("note.txt", "hello, this is a text file"),
                "UNKNOWN_FORMAT", "neither a safetensors file");
  ExpectRefused(WriteText("empty.pt", ""), "UNKNOWN_FORMAT", "truncated");
  // PyTorch's form before 1.6.
  ExpectRefused(WriteText("old.pt", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j"),
                "UNKNOWN_FORMAT", "before 1.6");
  const std::string cut = Save("cut.safetensors", tensors_);
  std::filesystem::resize_file(cut, std::filesystem::file_size(cut) - 1);
  ExpectRefused(cut, "INVALID_SAFETENSORS", "ends at");
  ExpectRefused(folder_.path().string(), "UNKNOWN_FORMAT", "the folder has no");
  const absl::Status missing =
      ConvertCheckpoint(folder_.File("none"), {}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
}

TEST_F(CheckpointTest, ConfigsThatDoNotFitAreNamed) {
  const std::string path = Save("clip.safetensors", tensors_);
  ClipConfig other = config_;
  other.vision_layers = 3;
  ExpectRefused(
      path, "INVALID_CLIP", "vision_cfg.layers is 3; the tensors have 2",
      {.config_path = WriteText("layers.json", OpenClipConfigFile(other))});
  ExpectRefused(path, "INVALID_CLIP", "no JSON object",
                {.config_path = WriteText("broken.json", "{\"vision_cfg\":")});
}

TEST_F(CheckpointTest, PositionsAreInterpolatedOnRequest) {
  const std::string path =
      Save("ours.safetensors", tensors_, ClipMetadata(config_));
  const absl::StatusOr<Converted> converted =
      ConvertCheckpoint(path, {.image_size = 24});
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_EQ(converted->config.image_size, 24);
  const at::Tensor& positions =
      converted->tensors.at("visual.positional_embedding");
  EXPECT_EQ(positions.sizes(), at::IntArrayRef({37, 8}));
  const absl::Status status =
      ConvertCheckpoint(path, {.image_size = 26}).status();
  EXPECT_EQ(ErrorReason(status), "INVALID_OPTION");
  EXPECT_THAT(status.message(), HasSubstr("patch size 4"));
}

// Pillow's bicubic weight of `target` for each of `size` points, in double.
std::vector<double> Weights(int size, int new_size, int target) {
  const double scale = static_cast<double>(size) / new_size;
  const double support = std::max(scale, 1.0);
  const double centre = (target + 0.5) * scale;
  std::vector<double> weights(size);
  double sum = 0;
  for (int i = 0; i < size; ++i) {
    const double x = std::abs((i + 0.5 - centre) / support);
    const double a = -0.5;
    weights[i] = x < 1   ? ((a + 2) * x - (a + 3)) * x * x + 1
                 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a
                         : 0;
    sum += weights[i];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

TEST(ResizePositionsTest, IsAntialiasedBicubic) {
  const int grid = 7;
  const at::Tensor table = at::randn({grid * grid + 1, 3});
  for (int new_grid : {3, 5, 7, 11, 16}) {
    const at::Tensor resized = ResizePositions(table, new_grid);
    ASSERT_EQ(resized.size(0), new_grid * new_grid + 1);
    EXPECT_TRUE(resized[0].equal(table[0]));
    for (int y = 0; y < new_grid; ++y) {
      for (int x = 0; x < new_grid; ++x) {
        const std::vector<double> rows = Weights(grid, new_grid, y);
        const std::vector<double> columns = Weights(grid, new_grid, x);
        for (int c = 0; c < 3; ++c) {
          double expected = 0;
          for (int i = 0; i < grid * grid; ++i) {
            expected += rows[i / grid] * columns[i % grid] *
                        table[i + 1][c].item<double>();
          }
          EXPECT_NEAR(resized[y * new_grid + x + 1][c].item<double>(), expected,
                      1e-5)
              << new_grid << " " << y << " " << x;
        }
      }
    }
  }
}

}  // namespace
}  // namespace attune::convert
