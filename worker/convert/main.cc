// attune-convert: makes model files in the form that `attune model import`
// takes, out of other programs' checkpoints or out of nothing. It runs on the
// user's own machine and talks to nobody.

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "worker/convert/convert.h"
#include "worker/model/init.h"
#include "worker/model/safetensors_io.h"
#include "worker/model/torch_status.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

// Exit codes of every Attune program.
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

// Larger pictures than this are a slip of the finger.
constexpr int kLargestImage = 4096;

struct Options {
  std::string architecture;
  uint64_t seed = 0;
  // IN and OUT, or OUT alone with an architecture.
  std::vector<std::string> files;
  std::string activation;
  convert::ConvertOptions convert;
  std::string output = "text";

  const std::string& in() const { return files.front(); }
  const std::string& out() const { return files.back(); }
};

const char* ActivationName(Activation activation) {
  return activation == Activation::kGelu ? "gelu" : "quick_gelu";
}

// Writes the model and adds what can be counted to the report.
absl::Status Write(const Options& options, const ClipConfig& config,
                   const model::Tensors& tensors, Json& report) {
  ATTUNE_RETURN_IF_ERROR(
      model::SaveTensors(options.out(), tensors, ClipMetadata(config)));
  int64_t parameters = 0;
  for (const auto& [name, tensor] : tensors) parameters += tensor.numel();
  report["tensor_count"] = tensors.size();
  report["parameter_count"] = parameters;
  report["size_bytes"] =
      static_cast<int64_t>(std::filesystem::file_size(options.out()));
  return absl::OkStatus();
}

void Print(const Options& options, const Json& report,
           const std::string& what) {
  if (options.output == "json") {
    std::cout << report.dump(-1, ' ', false, Json::error_handler_t::replace)
              << "\n";
  } else {
    std::cout << options.out() << ": " << what << ", " << report["tensor_count"]
              << " tensors, " << report["parameter_count"] << " parameters, "
              << report["size_bytes"] << " bytes\n";
  }
}

absl::Status Initialise(const Options& options) {
  ATTUNE_ASSIGN_OR_RETURN(const ClipConfig config,
                          model::NamedConfig(options.architecture));
  Json report = {{"file", options.out()},
                 {"architecture", options.architecture},
                 {"seed", options.seed}};
  ATTUNE_RETURN_IF_ERROR(Write(
      options, config, model::RandomTensors(config, options.seed), report));
  Print(
      options, report,
      absl::StrCat("random ", options.architecture, " of seed ", options.seed));
  return absl::OkStatus();
}

absl::Status Convert(const Options& options) {
  ATTUNE_ASSIGN_OR_RETURN(
      const convert::Converted converted,
      convert::ConvertCheckpoint(options.in(), options.convert));
  const ClipConfig& config = converted.config;
  const std::string layout(LayoutName(converted.layout));
  const std::string kind(convert::KindName(converted.kind));
  Json report = {{"file", options.out()},
                 {"source", options.in()},
                 {"format", kind},
                 {"layout", layout},
                 {"config", converted.config_path},
                 {"architecture", ArchitectureName(config)},
                 {"activation", ActivationName(config.activation)},
                 {"image_size", config.image_size},
                 {"context_length", config.context_length}};
  ATTUNE_RETURN_IF_ERROR(Write(options, config, converted.tensors, report));
  if (converted.assumed_activation) {
    std::cerr << "attune-convert: no configuration says the activation; "
                 "quick_gelu was taken, OpenAI's. open_clip's own models "
                 "mostly have gelu: name their JSON with --config, or give "
                 "--activation gelu\n";
  }
  Print(options, report,
        absl::StrCat(ArchitectureName(config), " with ",
                     ActivationName(config.activation), " from a ", kind,
                     " with the names of ", layout));
  return absl::OkStatus();
}

int Run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Makes a CLIP model as a safetensors file with OpenAI's tensor names,\n"
      "ready for `attune model import`, out of a checkpoint IN:\n"
      "  OpenAI        the TorchScript archive (ViT-B-32.pt) or a state_dict\n"
      "  Hugging Face  CLIPModel, safetensors or .bin, with its config.json\n"
      "                (and preprocessor_config.json) beside it\n"
      "  open_clip     safetensors or .pt, with its open_clip_config.json\n"
      "IN may be the folder that holds them. Weights are written in fp32.\n"
      "Nothing of a file is run and nothing is sent anywhere; OUT is written\n"
      "whole or not at all, and replaced where it exists.",
      "attune-convert");
  CLI::Option* init =
      app.add_option(
             "--init", options.architecture,
             absl::StrCat("Instead of IN: random weights, distributed "
                          "as OpenAI's are before training, of this "
                          "architecture: ",
                          absl::StrJoin(model::ArchitectureNames(), ", ")))
          ->type_name("NAME")
          ->check(CLI::IsMember(model::ArchitectureNames()).description(""));
  app.add_option("--seed", options.seed,
                 "Decides the random weights; the same seed makes the same "
                 "file")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""))
      ->capture_default_str()
      ->needs(init);
  app.add_option("--config", options.convert.config_path,
                 "The checkpoint's config.json (Hugging Face) or JSON of "
                 "open_clip; default: the one beside IN")
      ->type_name("FILE")
      ->excludes(init);
  app.add_option("--activation", options.activation,
                 "Where no configuration says it: quick_gelu (OpenAI's, the "
                 "default) or gelu")
      ->type_name("NAME")
      ->check(CLI::IsMember({"quick_gelu", "gelu"}).description(""))
      ->excludes(init);
  app.add_option("--image-size", options.convert.image_size,
                 "Side of the pictures, a multiple of the patch size: the "
                 "positions are interpolated as open_clip does it (bicubic, "
                 "antialiased)")
      ->type_name("PIXELS")
      ->check(CLI::Range(1, kLargestImage).description(""))
      ->excludes(init);
  app.add_option("files", options.files,
                 "Checkpoint to read (not with --init) and file to write")
      ->required()
      ->expected(1, 2)
      ->type_name("IN OUT");
  app.add_option("--output", options.output,
                 "How to report on standard output: text or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->capture_default_str();
  app.final_callback([&] {
    const size_t needed = options.architecture.empty() ? 2 : 1;
    if (options.files.size() == needed) return;
    throw CLI::ValidationError(needed == 2
                                   ? "IN and OUT are needed, or --init NAME OUT"
                                   : "--init takes one file, OUT");
  });
  app.footer(
      "Examples:\n"
      "  attune-convert ViT-B-32.pt vit-b-32.safetensors\n"
      "  attune-convert clip-vit-large-patch14/ vit-l-14.safetensors\n"
      "  attune-convert --init tiny --seed 0 tiny.safetensors\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  if (!options.activation.empty()) {
    options.convert.activation = options.activation == "gelu"
                                     ? Activation::kGelu
                                     : Activation::kQuickGelu;
  }
  const absl::Status status =
      options.architecture.empty() ? Convert(options) : Initialise(options);
  if (!status.ok()) {
    std::cerr << "attune-convert: " << status.message() << "\n";
    return kFailed;
  }
  return kDone;
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  try {
    return attune::Run(argc, argv);
  } catch (const std::exception& error) {
    // What LibTorch throws where memory ends.
    std::cerr << "attune-convert: "
              << attune::model::TorchErrorToStatus(error).message() << "\n";
    return attune::kFailed;
  }
}
