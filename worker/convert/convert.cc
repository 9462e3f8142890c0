#include "worker/convert/convert.h"

#include <ATen/Functions.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/safetensors/clip_error.h"
#include "common/safetensors/clip_files.h"
#include "common/safetensors/clip_sizes.h"
#include "common/status_macros.h"

namespace attune::convert {
namespace {

// Configurations are a few kilobytes.
constexpr std::uintmax_t kMaxConfigBytes = 1 << 20;

absl::Status InFile(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return Error(status.code(), ErrorReason(status),
               absl::StrCat(path, ": ", status.message()));
}

absl::Status InvalidOption(absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_OPTION", message);
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return NotFound("file", path);
  const std::uintmax_t size = std::filesystem::file_size(path, code);
  std::ifstream file(path, std::ios::binary);
  if (code || !file) {
    return Error(absl::StatusCode::kInternal, "FILE_ERROR",
                 absl::StrCat("cannot read ", path));
  }
  if (size > kMaxConfigBytes) {
    return InFile(path, InvalidClip("it is too long for a configuration"));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A file beside another; empty when there is none.
std::string Beside(const std::string& path, absl::string_view name) {
  const std::string file =
      (std::filesystem::path(path).parent_path() / std::string(name)).string();
  std::error_code code;
  return std::filesystem::exists(file, code) ? file : "";
}

TensorShapes ShapesOfTensors(const model::Tensors& tensors) {
  TensorShapes shapes;
  for (const auto& [name, tensor] : tensors) {
    shapes[name] = tensor.sizes().vec();
  }
  return shapes;
}

// One tensor of the file, as fp32.
absl::StatusOr<at::Tensor> Widen(const std::string& name,
                                 const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kFloat && tensor.scalar_type() != at::kHalf &&
      tensor.scalar_type() != at::kBFloat16) {
    return InvalidClip(absl::StrCat("tensor ", QuotedName(name),
                                    " has the type ",
                                    c10::toString(tensor.scalar_type()),
                                    "; weights are Float, Half or BFloat16"));
  }
  at::Tensor wide = tensor.to(at::kFloat).contiguous();
  if (!at::isfinite(wide).all().item<bool>()) {
    return InvalidClip(absl::StrCat("tensor ", QuotedName(name),
                                    " has values that are not finite"));
  }
  return wide;
}

// The canonical tensors. Takes the file's as it goes, so that a large model
// is in memory about once.
// REQUIRES: exactly the tensors of the layout.
absl::StatusOr<model::Tensors> Rename(const ClipConfig& sizes,
                                      ClipLayout layout,
                                      model::Tensors tensors) {
  if (tensors.contains(kHeadDirections)) {
    return InvalidClip(
        "it has a linear head, which conversion would drop: import the file "
        "as it is");
  }
  model::Tensors canonical;
  std::map<std::string, std::vector<at::Tensor>> parts;
  for (const LayoutTensor& part : LayoutTensors(sizes, layout)) {
    ATTUNE_ASSIGN_OR_RETURN(at::Tensor tensor,
                            Widen(part.name, tensors.at(part.name)));
    tensors.erase(part.name);
    if (part.transposed) tensor = tensor.t().contiguous();
    parts[part.source].push_back(std::move(tensor));
  }
  for (auto& [name, rows] : parts) {
    canonical[name] = rows.size() == 1 ? rows[0] : at::cat(rows, 0);
    rows.clear();
  }
  return canonical;
}

// The configuration that lies beside a file of this layout; empty for none.
std::string FindConfig(const SourceFile& source, ClipLayout layout) {
  if (layout == ClipLayout::kHuggingFace) {
    return Beside(source.path, "config.json");
  }
  // OpenAI's own archives say nothing and need nothing.
  if (source.kind == SourceFile::Kind::kTorchScript) return "";
  return Beside(source.path, "open_clip_config.json");
}

// Fills in what the files beside the tensors say.
absl::Status ReadConfigs(const std::string& path, const SourceFile& source,
                         ClipLayout layout, ClipConfig& config) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  ATTUNE_RETURN_IF_ERROR(InFile(path, ReadClipConfigFile(text, config)));
  if (layout != ClipLayout::kHuggingFace) return absl::OkStatus();
  const std::string preprocessor =
      Beside(source.path, "preprocessor_config.json");
  if (preprocessor.empty()) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(const std::string preprocessing,
                          ReadText(preprocessor));
  return InFile(preprocessor, ReadPreprocessorFile(preprocessing, config));
}

absl::Status Resize(int image_size, Converted& converted) {
  if (image_size % converted.config.patch_size != 0) {
    return InvalidOption(absl::StrCat("--image-size ", image_size,
                                      " is no multiple of the patch size ",
                                      converted.config.patch_size));
  }
  at::Tensor& positions = converted.tensors.at("visual.positional_embedding");
  positions =
      ResizePositions(positions, image_size / converted.config.patch_size);
  converted.config.image_size = image_size;
  return absl::OkStatus();
}

}  // namespace

at::Tensor ResizePositions(const at::Tensor& positions, int grid) {
  const int64_t old_grid = std::llround(std::sqrt(positions.size(0) - 1));
  if (old_grid == grid) return positions;
  const int64_t width = positions.size(1);
  const at::Tensor patches =
      positions.slice(0, 1).reshape({1, old_grid, old_grid, width});
  const at::Tensor resized =
      at::_upsample_bicubic2d_aa(patches.permute({0, 3, 1, 2}).contiguous(),
                                 {grid, grid}, /*align_corners=*/false)
          .permute({0, 2, 3, 1})
          .reshape({grid * grid, width});
  return at::cat({positions.slice(0, 0, 1), resized}, 0);
}

absl::StatusOr<Converted> ConvertCheckpoint(const std::string& path,
                                            const ConvertOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(SourceFile source, ReadSourceFile(path));
  std::erase_if(source.tensors,
                [](const auto& entry) { return IsBookkeeping(entry.first); });
  const auto in_source = [&](const absl::Status& status) {
    return InFile(source.path, status);
  };
  const TensorShapes shapes = ShapesOfTensors(source.tensors);
  const absl::StatusOr<ClipLayout> layout = DetectLayout(shapes);
  if (!layout.ok()) return in_source(layout.status());
  absl::StatusOr<ClipConfig> config = ReadClipSizes(shapes, *layout);
  if (!config.ok()) return in_source(config.status());

  Converted converted;
  converted.kind = source.kind;
  converted.layout = *layout;
  converted.config_path = options.config_path.empty()
                              ? FindConfig(source, *layout)
                              : options.config_path;
  const bool has_config = !converted.config_path.empty();
  if (!has_config && *layout == ClipLayout::kHuggingFace) {
    return in_source(InvalidClip(
        "Hugging Face's models need their config.json: put it beside the "
        "file or name it with --config"));
  }
  if (has_config) {
    ATTUNE_RETURN_IF_ERROR(
        ReadConfigs(converted.config_path, source, *layout, *config));
    source.metadata = ClipMetadata(*config);
  }
  const bool says_activation = source.metadata.contains("attune.activation");
  if (options.activation && says_activation) {
    return InvalidOption(absl::StrCat(
        "--activation is given, but ",
        has_config ? converted.config_path : source.path, " says it already"));
  }
  absl::StatusOr<model::Tensors> tensors =
      Rename(*config, *layout, std::move(source.tensors));
  if (!tensors.ok()) return in_source(tensors.status());
  converted.tensors = *std::move(tensors);
  config = ReadClipConfig(ShapesOfTensors(converted.tensors), source.metadata);
  if (!config.ok()) return in_source(config.status());
  converted.config = *config;
  if (options.activation) converted.config.activation = *options.activation;
  converted.assumed_activation = !says_activation && !options.activation &&
                                 source.kind != SourceFile::Kind::kTorchScript;
  if (options.image_size != 0) {
    ATTUNE_RETURN_IF_ERROR(Resize(options.image_size, converted));
  }
  return converted;
}

}  // namespace attune::convert
