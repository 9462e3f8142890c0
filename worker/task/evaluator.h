#ifndef ATTUNE_WORKER_TASK_EVALUATOR_H_
#define ATTUNE_WORKER_TASK_EVALUATOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/dataset_service.pb.h"
#include "attune/v1/worker_service.pb.h"
#include "common/safetensors/clip_layout.h"
#include "worker/evaluate/figures.h"
#include "worker/model/clip.h"
#include "worker/task/example_set.h"
#include "worker/task/pixel_store.h"
#include "worker/task/task_context.h"

namespace attune::task {

// What models answer on one dataset, and the figures of it
// (docs/architecture.md). Pictures are decoded once for models of one input
// size. Not thread-safe.
class Evaluator {
 public:
  struct Options {
    // Each with one "{}", averaged per candidate; empty: the candidates as
    // they are.
    std::vector<std::string> templates = {};
    bool truncate = false;
    // As in EvaluateSpec.
    std::vector<std::string> group_by = {};
    uint64_t seed = 0;
    // A part of a training, whose steps are the task's progress.
    bool beside_training = false;
  };

  // Reads the dataset's examples. `context` must outlive the evaluator.
  static absl::StatusOr<Evaluator> Create(const TaskContext& context,
                                          const v1::Dataset& dataset,
                                          Options options);

  // Loads the pictures for models of this input size; Answer does so where it
  // was not called. Errors of PixelStore::Load.
  absl::Status LoadPictures(int image_size);

  // INVALID_ARGUMENT (reason TEXT_NOT_A_CANDIDATE) naming the example; errors
  // of PixelStore::Load and TokenRows; RESOURCE_EXHAUSTED (OUT_OF_MEMORY);
  // CANCELLED when the task shall stop. `t` is the knob of a linear head;
  // tensors without one ignore it.
  absl::StatusOr<evaluate::Answers> Answer(const ClipConfig& config,
                                           const model::Tensors& tensors,
                                           double t = 1);

  // Figures with intervals and tables; of two versions when `against` is not
  // null.
  evaluate::Report Report(const evaluate::Answers& model,
                          const evaluate::Answers* against) const;

 private:
  // Rows of one kind, and the candidates that they name.
  struct Labelled {
    std::vector<int64_t> rows, labels, attacks;
  };
  struct Pairs {
    std::vector<int64_t> rows, preferred, rejected;
  };
  struct Captions {
    std::vector<int64_t> rows, captions;
  };

  Evaluator(const TaskContext& context, ExampleSet examples, Options options)
      : context_(&context),
        examples_(std::move(examples)),
        options_(std::move(options)) {}

  // CANCELLED when the task shall stop.
  absl::Status CheckOrders() const;
  // Of the pictures.
  void ReportProgress(int64_t done, int64_t total) const;
  absl::Status AddExample(const v1::Example& example);
  absl::StatusOr<int64_t> Candidate(const v1::Example& example,
                                    const std::string& text) const;
  // Embeddings, on the CPU, normalised unless a linear head changed those of
  // images: [N, D] of the images that are used, [C, D] of the candidates,
  // [M, D] of the captions.
  absl::StatusOr<at::Tensor> ImageEmbeddings(const ClipConfig& config,
                                             const model::Tensors& tensors,
                                             double t);
  absl::StatusOr<at::Tensor> CandidateEmbeddings(
      const ClipConfig& config, const model::Tensors& tensors) const;
  absl::StatusOr<at::Tensor> TextEmbeddings(
      const ClipConfig& config, const model::Tensors& tensors,
      const std::vector<std::string>& texts) const;
  absl::StatusOr<evaluate::Answers> AnswerOrThrow(const ClipConfig& config,
                                                  const model::Tensors& tensors,
                                                  double t);

  const TaskContext* context_;
  ExampleSet examples_;
  Options options_;
  StringTable candidates_;
  StringTable captions_;
  // Every example that is used is a row, with a picture.
  std::vector<const v1::Example*> rows_;
  // Of each row, its number in examples_.images.
  std::vector<int64_t> images_;
  Labelled labelled_;
  Pairs pairs_;
  Captions captioned_;
  std::vector<evaluate::Division> divisions_;
  // By the side of the input.
  std::map<int, std::unique_ptr<PixelStore>> pixels_;
};

// On the wire. Where the message would become too large to send, it lacks the
// tables by class; then skew_share too; then all that is of one group; and at
// last the skew of whole attributes.
v1::EvaluateResult ToResult(const evaluate::Report& report);

}  // namespace attune::task

#endif  // ATTUNE_WORKER_TASK_EVALUATOR_H_
