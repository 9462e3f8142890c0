#ifndef ATTUNE_TESTS_WORKER_GOLDEN_STEP_INPUTS_H_
#define ATTUNE_TESTS_WORKER_GOLDEN_STEP_INPUTS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/safetensors/clip_layout.h"
#include "nlohmann/json.hpp"
#include "worker/model/clip.h"
#include "worker/train/train_config.h"
#include "worker/train/training_data.h"

// What the golden files and Python's comparisons give the worker's functions:
// tensors by name.
//   pixels      uint8 [M, S, S, 3], or for embeddings float [M, 3, S, S]
//   tokens      int64 [N, T], start, end and padding included
//   pairs       int64 [B, 3]: image, preferred text, rejected text
//   captions    int64 [B, 3]: image, text, class
//   clean       int64 [K] images;  candidates  int64 [C] texts
namespace attune::golden {

// images [M, D], texts [N, D] (normalised) and logits [M, N].
absl::StatusOr<model::Tensors> Embeddings(const ClipConfig& config,
                                          const model::Tensors& tensors,
                                          const model::Tensors& in);

// The config of {"objective": "dpo", "options": {"beta": 1, …}, "kl_weight",
// "micro_batch_size"}: an objective and all its options.
train::TrainConfig StepConfig(const nlohmann::json& json);

// The loss [] under "loss", and the gradient of every tensor under its name,
// of the first step of a run over all of `in`, at `tensors`.
absl::StatusOr<model::Tensors> Gradients(const train::TrainConfig& config,
                                         const ClipConfig& clip,
                                         const model::Tensors& tensors,
                                         const model::Tensors& reference,
                                         const model::Tensors& in);

// A row of tokens for each row of a tensor.
std::vector<std::vector<int32_t>> TokenRows(const at::Tensor& tokens);

// The data of a run, and its pixels, out of `in`.
train::TrainingData ReadTrainingData(const model::Tensors& in);

class TensorPixels : public train::PixelSource {
 public:
  // uint8 [M, S, S, 3].
  explicit TensorPixels(at::Tensor pixels) : pixels_(std::move(pixels)) {}
  absl::StatusOr<at::Tensor> Pixels(absl::Span<const int64_t> images) override;

 private:
  at::Tensor pixels_;
};

}  // namespace attune::golden

#endif  // ATTUNE_TESTS_WORKER_GOLDEN_STEP_INPUTS_H_
