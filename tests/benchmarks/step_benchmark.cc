// Ours of tests/benchmarks/run.sh: prints how long each round took.
//
//   step_benchmark train MODEL IN CONFIG   CONFIG: golden::StepConfig and
//                                          "batch_size", "steps", "trained"
//   step_benchmark texts MODEL IN ROUNDS   embeddings of all texts
//   step_benchmark images MODEL IN ROUNDS  embeddings of all images
//   step_benchmark optimizer MODEL ROUNDS  Adamax with the average
//
// IN has the tensors of tests/worker/golden/step_inputs.h. Prints
// {"seconds": […], "peak_bytes": …}; OMP_NUM_THREADS says how many threads.

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tests/worker/golden/step_inputs.h"
#include "worker/model/safetensors_io.h"
#include "worker/train/optimizer.h"
#include "worker/train/trainer.h"

namespace attune {
namespace {

using Seconds = std::vector<double>;

double Timed(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// The process's largest resident size.
int64_t PeakBytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t kibibytes = 0;
    if (words.size() > 1 && words[0] == "VmHWM:" &&
        absl::SimpleAtoi(words[1], &kibibytes)) {
      return kibibytes * 1024;
    }
  }
  return 0;
}

// all, image or last:K.
absl::StatusOr<train::TrainedPart> TrainedPartOf(absl::string_view name) {
  using Kind = train::TrainedPart::Kind;
  int blocks = 0;
  if (name == "all") return train::TrainedPart{};
  if (name == "image") return train::TrainedPart{.kind = Kind::kImageTower};
  if (absl::ConsumePrefix(&name, "last:") && absl::SimpleAtoi(name, &blocks)) {
    return train::TrainedPart{.kind = Kind::kLastBlocks, .last_blocks = blocks};
  }
  return absl::InvalidArgumentError("trained: all, image or last:K");
}

absl::StatusOr<Seconds> Train(const model::LoadedClip& clip,
                              const model::Tensors& in,
                              const nlohmann::json& options) {
  train::TrainConfig config = golden::StepConfig(options);
  ATTUNE_ASSIGN_OR_RETURN(config.trained_part,
                          TrainedPartOf(options.at("trained")));
  config.batch_size = options.at("batch_size");
  const int64_t steps = options.at("steps");
  config.steps = steps;
  golden::TensorPixels pixels(in.at("pixels"));
  ATTUNE_ASSIGN_OR_RETURN(
      const std::unique_ptr<train::Trainer> trainer,
      train::Trainer::Create(config, clip.config, clip.tensors,
                             golden::ReadTrainingData(in), &pixels));
  Seconds seconds;
  for (int64_t step = 0; step < steps; ++step) {
    absl::Status status;
    seconds.push_back(Timed([&] { status = trainer->Step().status(); }));
    ATTUNE_RETURN_IF_ERROR(status);
  }
  return seconds;
}

// Rounds of embedding the texts, packed each time as a call would.
absl::StatusOr<Seconds> Embed(const model::LoadedClip& clip,
                              const model::Tensors& in, bool texts,
                              int rounds) {
  const at::NoGradGuard no_grad;
  Seconds seconds;
  for (int round = 0; round < rounds; ++round) {
    absl::Status status;
    seconds.push_back(Timed([&] {
      if (!texts) {
        model::EncodeImages(clip.config, clip.tensors, in.at("pixels"));
        return;
      }
      const absl::StatusOr<model::TextBatch> batch =
          model::PackTexts(golden::TokenRows(in.at("tokens")), clip.config);
      status = batch.status();
      if (batch.ok()) model::EncodeTexts(clip.config, clip.tensors, *batch);
    }));
    ATTUNE_RETURN_IF_ERROR(status);
  }
  return seconds;
}

absl::StatusOr<Seconds> OptimizerPass(const model::LoadedClip& clip,
                                      int rounds) {
  ATTUNE_ASSIGN_OR_RETURN(train::FlatParameters parameters,
                          train::FlatParameters::Create(clip.tensors, {}));
  for (const train::FlatParameters::Slot& slot : parameters.slots()) {
    at::Tensor view = slot.view;
    view.mutable_grad() = at::randn(view.sizes()) * 1e-3;
  }
  train::Optimizer optimizer(train::OptimizerOptions::Adamax(), &parameters);
  const at::Tensor average = parameters.flat().clone();
  Seconds seconds;
  for (int round = 0; round < rounds; ++round) {
    seconds.push_back(Timed([&] {
      optimizer.Step({.number = round + 1,
                      .learning_rate = 2e-5,
                      .average = average,
                      .average_share = 0.1});
    }));
  }
  return seconds;
}

absl::StatusOr<Seconds> Run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3) {
    return absl::InvalidArgumentError("usage: see step_benchmark.cc");
  }
  const std::string& what = arguments[0];
  ATTUNE_ASSIGN_OR_RETURN(const model::LoadedClip clip,
                          model::LoadClip(arguments[1]));
  int rounds = 1;
  const bool has_rounds = absl::SimpleAtoi(arguments.back(), &rounds);
  if (what == "optimizer" && has_rounds) return OptimizerPass(clip, rounds);
  ATTUNE_ASSIGN_OR_RETURN(const model::LoadedFile in,
                          model::LoadTensors(arguments[2]));
  if (what == "train") {
    return Train(clip, in.tensors, nlohmann::json::parse(arguments.back()));
  }
  return Embed(clip, in.tensors, what == "texts", rounds);
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  const absl::StatusOr<attune::Seconds> seconds =
      attune::Run({argv + 1, argv + argc});
  if (!seconds.ok()) {
    std::cerr << "step_benchmark: " << seconds.status().message() << "\n";
    return 1;
  }
  std::cout << nlohmann::json{{"seconds", *seconds},
                              {"peak_bytes", attune::PeakBytes()}}
                   .dump()
            << "\n";
  return 0;
}
