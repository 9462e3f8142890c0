#include "worker/train/step_gradient.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "worker/model/linear_head.h"
#include "worker/model/upload.h"
#include "worker/objective/kl.h"
#include "worker/objective/pair_terms.h"
#include "worker/objective/positives.h"
#include "worker/objective/similarity.h"
#include "worker/train/streams.h"

namespace attune::train {
namespace {

void AddTo(at::Tensor& sum, const at::Tensor& values) {
  const at::Tensor value = values.detach().sum();
  sum = sum.defined() ? sum + value : value;
}

}  // namespace

StepGradient::StepGradient(const TrainConfig& config,
                           objective::Objective objective,
                           const TrainingData* data, Encoder* encoder,
                           const model::Tensors& reference,
                           const model::Tensors& policy)
    : config_(config),
      objective_(std::move(objective)),
      data_(data),
      encoder_(encoder),
      policy_(policy),
      order_(TrainingOrder(config, objective_, *data)),
      clean_(MakeCleanStream(config, objective_, *data)),
      reference_(data, encoder, reference,
                 clean_ ? clean_->images() : std::vector<int64_t>(),
                 config.savings.cache_reference) {}

int64_t StepGradient::clean_batch_size() const {
  return clean_ ? clean_->batch_size() : 0;
}

absl::StatusOr<StepGradient::Batch> StepGradient::MakeBatch(int64_t step) {
  Batch batch;
  batch.examples = order_.Batch(step);
  if (clean_) batch.clean = clean_->Batch(step, batch.examples);

  Columns columns;
  if (uses_candidates()) {
    for (int64_t text : data_->candidates) columns.Of(text);
  }
  std::vector<int64_t> preferred, rejected;
  for (int64_t example : batch.examples) {
    if (pair_objective() != nullptr) {
      preferred.push_back(columns.Of(data_->pairs[example].preferred));
      rejected.push_back(columns.Of(data_->pairs[example].rejected));
    } else {
      preferred.push_back(columns.Of(data_->captions[example].caption));
    }
  }
  batch.texts = std::move(columns).Values();
  batch.preferred =
      model::Upload(at::tensor(preferred, at::kLong), encoder_->device());
  batch.rejected =
      model::Upload(at::tensor(rejected, at::kLong), encoder_->device());

  if (uses_reference()) {
    ATTUNE_ASSIGN_OR_RETURN(batch.reference_logits,
                            reference_.PairLogits(batch.examples, batch.texts));
  }
  if (!batch.clean.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(
        batch.clean_reference_logits,
        reference_.CleanLogits(batch.clean, data_->candidates));
  }
  return batch;
}

std::vector<StepGradient::Part> StepGradient::Parts(const Batch& batch) const {
  const auto examples = static_cast<int64_t>(batch.examples.size());
  const auto clean = static_cast<int64_t>(batch.clean.size());
  const int64_t most = std::max(examples, clean);
  const int64_t size =
      config_.micro_batch_size > 0 ? config_.micro_batch_size : most;
  std::vector<Part> parts;
  const auto add = [&](int64_t examples_of, int64_t clean_of) {
    for (int64_t begin = 0; begin < std::max(examples_of, clean_of);
         begin += size) {
      parts.push_back({std::min(begin, examples_of),
                       std::clamp<int64_t>(examples_of - begin, 0, size),
                       std::min(begin, clean_of),
                       std::clamp<int64_t>(clean_of - begin, 0, size)});
    }
  };
  if (uses_clean_kl()) {
    add(0, clean);
    add(examples, 0);
  } else {
    add(examples, clean);
  }
  return parts;
}

absl::StatusOr<StepMetrics> StepGradient::Compute(int64_t step) {
  ATTUNE_ASSIGN_OR_RETURN(const Batch batch, MakeBatch(step));
  const bool texts_once = config_.savings.texts_once;
  // The features, and the leaf that stands for them in the micro-batches.
  at::Tensor g, leaf;
  if (texts_once) {
    ATTUNE_ASSIGN_OR_RETURN(g, TextEmbeddings(batch));
    leaf = g.detach().set_requires_grad(g.requires_grad());
  }
  Sums sums;
  for (const Part& part : Parts(batch)) {
    // With λ = 0 clean images give z alone.
    const bool has_gradient = part.size > 0 || config_.kl_weight > 0;
    const at::AutoGradMode gradient(has_gradient);
    ATTUNE_ASSIGN_OR_RETURN(const at::Tensor f, ImageEmbeddings(batch, part));
    if (!texts_once) {
      ATTUNE_ASSIGN_OR_RETURN(leaf, TextEmbeddings(batch));
    }
    const at::Tensor loss = Loss(batch, part, f, leaf, sums);
    if (has_gradient) loss.backward();
  }
  if (texts_once && g.requires_grad()) g.backward(leaf.grad());
  StepMetrics metrics = Read(batch, sums);
  if (TrainsHead(config_)) {
    const at::Tensor penalty =
        config_.head.penalty *
        model::HeadPenalty(policy_.at(model::kHeadWeight));
    penalty.backward();
    metrics.loss += penalty.item<double>();
  }
  metrics.epoch =
      static_cast<double>(step + 1) / static_cast<double>(steps_per_epoch());
  return metrics;
}

absl::StatusOr<at::Tensor> StepGradient::ImageEmbeddings(const Batch& batch,
                                                         Part part) {
  // A picture that occurs twice, such as a pair's that is its own twin, is
  // computed once.
  Columns images;
  std::vector<int64_t> rows;
  for (int64_t example : batch.examples.subspan(part.begin, part.size)) {
    rows.push_back(images.Of(pair_objective() != nullptr
                                 ? data_->pairs[example].image
                                 : data_->captions[example].image));
  }
  for (int64_t entry : absl::MakeConstSpan(batch.clean)
                           .subspan(part.clean_begin, part.clean_size)) {
    rows.push_back(images.Of(clean_->images()[entry]));
  }
  const std::vector<int64_t> distinct = std::move(images).Values();
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor f,
                          encoder_->Images(policy_, distinct));
  if (distinct.size() == rows.size()) return Transformed(f);
  return Transformed(f.index_select(
      0, model::Upload(at::tensor(rows, at::kLong), f.device())));
}

absl::StatusOr<at::Tensor> StepGradient::TextEmbeddings(const Batch& batch) {
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor g,
                          encoder_->Texts(policy_, batch.texts));
  return Transformed(g);
}

at::Tensor StepGradient::Transformed(const at::Tensor& embeddings) const {
  if (!TrainsHead(config_)) return embeddings;
  return at::matmul(embeddings, policy_.at(model::kHeadWeight).t());
}

at::Tensor StepGradient::Loss(const Batch& batch, Part part,
                              const at::Tensor& f, const at::Tensor& g,
                              Sums& sums) const {
  const at::Tensor s = policy_.at("logit_scale").exp();
  at::Tensor loss;
  if (part.size > 0) {
    const at::Tensor examples = f.narrow(0, 0, part.size);
    loss =
        pair_objective() != nullptr
            ? PairLoss(batch, part, objective::Logits(examples, g, s), sums)
            : CaptionLoss(batch,
                          objective::Logits(
                              examples, g.index_select(0, batch.preferred), s),
                          sums);
  }
  if (part.clean_size > 0) {
    const auto candidates = static_cast<int64_t>(data_->candidates.size());
    const at::Tensor kl =
        objective::Kl(objective::Logits(f.narrow(0, part.size, part.clean_size),
                                        g.narrow(0, 0, candidates), s),
                      batch.clean_reference_logits.narrow(0, part.clean_begin,
                                                          part.clean_size));
    AddTo(sums.kl, kl);
    const at::Tensor term =
        kl.sum() *
        (config_.kl_weight / static_cast<double>(batch.clean.size()));
    loss = loss.defined() ? loss + term : term;
  }
  return loss;
}

at::Tensor StepGradient::PairLoss(const Batch& batch, Part part,
                                  const at::Tensor& logits, Sums& sums) const {
  objective::PairTerms terms = objective::MakePairTerms(
      logits,
      uses_reference() ? batch.reference_logits.narrow(0, part.begin, part.size)
                       : at::Tensor(),
      batch.preferred.narrow(0, part.begin, part.size),
      batch.rejected.narrow(0, part.begin, part.size));
  if (uses_clean_kl()) {
    terms.z = sums.kl / static_cast<double>(batch.clean.size());
  }
  const at::Tensor loss = pair_objective()->loss(terms);
  AddTo(sums.objective, loss);
  AddTo(sums.correct, terms.correct);
  if (uses_reference()) {
    AddTo(sums.preferred_log_ratio, terms.a);
    AddTo(sums.rejected_log_ratio, terms.b);
    AddTo(sums.margin, terms.h);
  }
  return loss.sum() / static_cast<double>(batch_size());
}

at::Tensor StepGradient::CaptionLoss(const Batch& batch,
                                     const at::Tensor& logits,
                                     Sums& sums) const {
  std::vector<const objective::Attributes*> images, captions;
  for (int64_t example : batch.examples) {
    images.push_back(&data_->captions[example].attributes);
    captions.push_back(&data_->captions[example].caption_attributes);
  }
  const at::Tensor loss =
      std::get<objective::CaptionObjective>(objective_)
          .loss(logits, model::Upload(objective::Positives(images, captions),
                                      logits.device()));
  // Already the mean: Read divides by the number of examples.
  AddTo(sums.objective, loss * batch_size());
  return loss;
}

StepMetrics StepGradient::Read(const Batch& batch, const Sums& sums) const {
  const auto mean = [](const at::Tensor& sum, size_t count) {
    return sum.defined()
               ? std::optional(sum.item<double>() / static_cast<double>(count))
               : std::nullopt;
  };
  const size_t examples = batch.examples.size();
  StepMetrics metrics;
  metrics.objective_loss = *mean(sums.objective, examples);
  metrics.kl = mean(sums.kl, batch.clean.size());
  metrics.loss =
      metrics.objective_loss + config_.kl_weight * metrics.kl.value_or(0);
  metrics.preferred_log_ratio = mean(sums.preferred_log_ratio, examples);
  metrics.rejected_log_ratio = mean(sums.rejected_log_ratio, examples);
  metrics.margin = mean(sums.margin, examples);
  metrics.pair_accuracy = mean(sums.correct, examples);
  metrics.logit_scale = policy_.at("logit_scale").exp().item<double>();
  return metrics;
}

}  // namespace attune::train
