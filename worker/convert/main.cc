// attune-convert: makes model files in the form that `attune model import`
// takes. It runs on the user's own machine and talks to nobody.

#include <filesystem>
#include <iostream>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "worker/model/init.h"
#include "worker/model/safetensors_io.h"

namespace attune {
namespace {

// Exit codes of every Attune program.
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Options {
  std::string architecture;
  uint64_t seed = 0;
  std::string out;
  std::string output = "text";
};

absl::Status Initialise(const Options& options) {
  ATTUNE_ASSIGN_OR_RETURN(const ClipConfig config,
                          model::NamedConfig(options.architecture));
  const model::Tensors tensors = model::RandomTensors(config, options.seed);
  ATTUNE_RETURN_IF_ERROR(
      model::SaveTensors(options.out, tensors, ClipMetadata(config)));

  int64_t parameters = 0;
  for (const auto& [name, tensor] : tensors) parameters += tensor.numel();
  const auto bytes =
      static_cast<int64_t>(std::filesystem::file_size(options.out));
  if (options.output == "json") {
    const nlohmann::ordered_json report = {
        {"file", options.out},           {"architecture", options.architecture},
        {"seed", options.seed},          {"tensor_count", tensors.size()},
        {"parameter_count", parameters}, {"size_bytes", bytes}};
    std::cout << report.dump(-1, ' ', false,
                             nlohmann::json::error_handler_t::replace)
              << "\n";
  } else {
    std::cout << options.out << ": random " << options.architecture
              << " of seed " << options.seed << ", " << tensors.size()
              << " tensors, " << parameters << " parameters, " << bytes
              << " bytes\n";
  }
  return absl::OkStatus();
}

int Run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Makes a CLIP model as a safetensors file with OpenAI's tensor names,\n"
      "ready for `attune model import`. Nothing is sent anywhere; OUT is\n"
      "written whole or not at all, and replaced where it exists.",
      "attune-convert");
  app.add_option("--init", options.architecture,
                 absl::StrCat("Random weights, distributed as OpenAI's are "
                              "before training, of this architecture: ",
                              absl::StrJoin(model::ArchitectureNames(), ", ")))
      ->required()
      ->type_name("NAME")
      ->check(CLI::IsMember(model::ArchitectureNames()).description(""));
  app.add_option("--seed", options.seed,
                 "Decides the random weights; the same seed makes the same "
                 "file")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""))
      ->capture_default_str();
  app.add_option("out", options.out, "File to write, such as tiny.safetensors")
      ->required()
      ->type_name("OUT");
  app.add_option("--output", options.output,
                 "How to report on standard output: text or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->capture_default_str();
  app.footer(
      "Example:\n"
      "  attune-convert --init tiny --seed 0 tiny.safetensors\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  if (const absl::Status status = Initialise(options); !status.ok()) {
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
    std::cerr << "attune-convert: " << error.what() << "\n";
    return attune::kFailed;
  }
}
