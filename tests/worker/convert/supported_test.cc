// README's table of supported checkpoints is what this test finds out by
// converting. ATTUNE_UPDATE_README=1 writes it anew.

#include <ATen/Functions.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/safetensors/clip_files.h"
#include "tests/test_util/temp_dir.h"
#include "tests/worker/convert/archive_writer.h"
#include "worker/convert/convert.h"
#include "worker/model/init.h"
#include "worker/model/safetensors_io.h"

namespace attune::convert {
namespace {

constexpr char kBegin[] = "<!-- Made by tests/worker/convert. -->\n";
constexpr char kEnd[] = "<!-- End of what is made. -->\n";

ClipConfig Tower(int patch, int image, int width, int layers, int heads,
                 int text_width, int text_layers, int embedding) {
  return {.image_size = image,
          .patch_size = patch,
          .vision_width = width,
          .vision_layers = layers,
          .vision_heads = heads,
          .text_width = text_width,
          .text_layers = text_layers,
          .text_heads = text_width / 64,
          .context_length = 77,
          .vocabulary_size = 49408,
          .embedding_size = embedding};
}

// A tower of these widths with one block and few words, which is converted as
// the whole one is.
ClipConfig Cut(ClipConfig config) {
  config.vision_layers = 1;
  config.text_layers = 1;
  config.vocabulary_size = 8;
  return config;
}

std::string WithCommas(int64_t number) {
  std::string text = absl::StrCat(number);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(at, ",");
  }
  return text;
}

model::Tensors InLayout(const ClipConfig& config, ClipLayout layout) {
  model::Tensors renamed;
  for (const LayoutTensor& part : LayoutTensors(config, layout)) {
    renamed[part.name] = at::zeros(part.shape);
  }
  return renamed;
}

// "yes" when the file converts to this configuration, else why not.
std::string Outcome(const std::string& path, const ClipConfig& config) {
  const absl::StatusOr<Converted> converted = ConvertCheckpoint(path, {});
  if (!converted.ok()) return std::string(converted.status().message());
  return converted->config == config ? "yes" : "another configuration";
}

// The four kinds of file of one tower, a table's cells.
std::vector<std::string> Outcomes(const ClipConfig& config) {
  const test::TempDir folder;
  const model::Tensors tensors = model::RandomTensors(config, 0);
  const std::string archive = folder.File("archive.pt");
  WriteTorchScript(archive, tensors);
  const std::string state = folder.File("state.pt");
  WriteStateDict(state, tensors);
  std::vector<std::string> cells = {Outcome(archive, config),
                                    Outcome(state, config)};
  std::ofstream(folder.File("config.json")) << HuggingFaceConfigFile(config);
  std::ofstream(folder.File("open_clip_config.json"))
      << OpenClipConfigFile(config);
  for (ClipLayout layout :
       {ClipLayout::kHuggingFace, ClipLayout::kCustomText}) {
    const std::string path = folder.File("clip.safetensors");
    EXPECT_TRUE(model::SaveTensors(path, InLayout(config, layout), {}).ok());
    cells.push_back(Outcome(path, config));
  }
  return cells;
}

std::string MakeTable() {
  std::string table =
      "| model | parameters | OpenAI's archive | state_dict | Hugging Face | "
      "open_clip |\n|---|---|---|---|---|---|\n";
  for (const ClipConfig& config :
       {Tower(32, 224, 768, 12, 12, 512, 12, 512),
        Tower(16, 224, 768, 12, 12, 512, 12, 512),
        Tower(14, 224, 1024, 24, 16, 768, 12, 768),
        Tower(14, 336, 1024, 24, 16, 768, 12, 768),
        Tower(14, 224, 1280, 32, 16, 1024, 24, 1024)}) {
    int64_t parameters = 0;
    for (const auto& [name, shape] : ExpectedTensors(config)) {
      int64_t count = 1;
      for (int64_t size : shape) count *= size;
      parameters += count;
    }
    absl::StrAppend(&table, "| ", ArchitectureName(config), " | ",
                    WithCommas(parameters), " |");
    for (const std::string& cell : Outcomes(Cut(config))) {
      absl::StrAppend(&table, " ", cell, " |");
    }
    absl::StrAppend(&table, "\n");
  }
  const test::TempDir folder;
  const std::string path = folder.File("RN50.pt");
  WriteStateDict(path, {{"visual.layer1.0.conv1.weight", at::zeros({1})}});
  const bool refused = ConvertCheckpoint(path, {}).status().code() ==
                       absl::StatusCode::kInvalidArgument;
  absl::StrAppend(&table, "| RN50 and other ResNets | |");
  for (int i = 0; i < 4; ++i) {
    absl::StrAppend(&table, refused ? " refused |" : " accepted |");
  }
  return table + "\n";
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(SupportedCheckpointsTest, ReadmesTableIsTrue) {
  const std::string path = ATTUNE_README;
  std::string readme = ReadFile(path);
  const size_t begin = readme.find(kBegin);
  const size_t end = readme.find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const size_t first = begin + sizeof kBegin - 1;
  const std::string table = MakeTable();
  if (std::getenv("ATTUNE_UPDATE_README") != nullptr) {
    readme.replace(first, end - first, table);
    std::ofstream(path) << readme;
  } else {
    EXPECT_EQ(readme.substr(first, end - first), table)
        << "ATTUNE_UPDATE_README=1 test_worker_convert writes it anew";
  }
}

}  // namespace
}  // namespace attune::convert
