// Lets Python see what the worker's functions compute, for tests/parity:
// tensors in and out are safetensors files.
//
//   clip_probe embed MODEL IN OUT
//   clip_probe gradient MODEL REFERENCE CONFIG IN OUT
//
// tests/worker/golden/step_inputs.h says what CONFIG, IN and OUT hold.

#include <iostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tests/worker/golden/step_inputs.h"
#include "worker/model/safetensors_io.h"

namespace attune {
namespace {

absl::Status Embed(const std::vector<std::string>& paths) {
  ATTUNE_ASSIGN_OR_RETURN(const model::LoadedClip clip,
                          model::LoadClip(paths[0]));
  ATTUNE_ASSIGN_OR_RETURN(const model::LoadedFile in,
                          model::LoadTensors(paths[1]));
  ATTUNE_ASSIGN_OR_RETURN(
      const model::Tensors out,
      golden::Embeddings(clip.config, clip.tensors, in.tensors));
  return model::SaveTensors(paths[2], out, {});
}

absl::Status Gradient(const std::vector<std::string>& arguments) {
  ATTUNE_ASSIGN_OR_RETURN(const model::LoadedClip clip,
                          model::LoadClip(arguments[0]));
  ATTUNE_ASSIGN_OR_RETURN(const model::LoadedClip reference,
                          model::LoadClip(arguments[1]));
  ATTUNE_ASSIGN_OR_RETURN(const model::LoadedFile in,
                          model::LoadTensors(arguments[3]));
  ATTUNE_ASSIGN_OR_RETURN(
      const model::Tensors out,
      golden::Gradients(golden::StepConfig(nlohmann::json::parse(arguments[2])),
                        clip.config, clip.tensors, reference.tensors,
                        in.tensors));
  return model::SaveTensors(arguments[4], out, {});
}

absl::Status Run(const std::vector<std::string>& arguments) {
  const std::vector<std::string> rest(
      arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  if (rest.size() == 3 && arguments[0] == "embed") return Embed(rest);
  if (rest.size() == 5 && arguments[0] == "gradient") return Gradient(rest);
  return absl::InvalidArgumentError("usage: see clip_probe.cc");
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  const absl::Status status = attune::Run({argv + 1, argv + argc});
  if (!status.ok()) std::cerr << "clip_probe: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
