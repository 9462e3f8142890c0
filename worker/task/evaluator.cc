#include "worker/task/evaluator.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/types/span.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "worker/model/linear_head.h"
#include "worker/model/text_batch.h"
#include "worker/model/torch_status.h"
#include "worker/model/upload.h"
#include "worker/task/divisions.h"
#include "worker/task/text_rows.h"

namespace attune::task {
namespace {

constexpr size_t kImagesAtATime = 64;
constexpr size_t kTextsAtATime = 512;

at::Tensor Index(const std::vector<int64_t>& rows) {
  return at::tensor(rows, at::kLong);
}

// Adds outcomes of one kind, whose rows are places in `rows`, with the rows
// themselves. Rows that are no images stay.
void Append(std::vector<evaluate::Outcomes> more,
            const std::vector<int64_t>& rows, evaluate::Answers* answers) {
  for (evaluate::Outcomes& outcomes : more) {
    if (outcomes.of_images) {
      for (int64_t& row : outcomes.rows) row = rows[row];
    }
    answers->outcomes.push_back(std::move(outcomes));
  }
}

}  // namespace

absl::StatusOr<Evaluator> Evaluator::Create(const TaskContext& context,
                                            const v1::Dataset& dataset,
                                            Options options) {
  ATTUNE_ASSIGN_OR_RETURN(ExampleSet examples,
                          ReadExampleSet(context.connection, dataset.name()));
  Evaluator evaluator(context, std::move(examples), std::move(options));
  for (const std::string& candidate : dataset.candidates()) {
    evaluator.candidates_.Add(candidate);
  }
  const std::vector<v1::Example>& all = evaluator.examples_.examples;
  evaluator.options_.group_by =
      GroupAttributes(all, evaluator.options_.group_by);
  for (const v1::Example& example : all) {
    ATTUNE_RETURN_IF_ERROR(evaluator.AddExample(example));
  }
  evaluator.divisions_ =
      MakeDivisions(evaluator.rows_, evaluator.options_.group_by);
  return evaluator;
}

absl::StatusOr<int64_t> Evaluator::Candidate(const v1::Example& example,
                                             const std::string& text) const {
  const int64_t candidate = candidates_.Find(text);
  if (candidate >= 0) return candidate;
  return Error(absl::StatusCode::kInvalidArgument, "TEXT_NOT_A_CANDIDATE",
               absl::StrCat("example ", example.id(), ": '", text,
                            "' is not among the dataset's candidates"));
}

absl::Status Evaluator::AddExample(const v1::Example& example) {
  const auto row = static_cast<int64_t>(images_.size());
  switch (example.kind_case()) {
    case v1::Example::kLabelled: {
      ATTUNE_ASSIGN_OR_RETURN(const int64_t label,
                              Candidate(example, example.labelled().label()));
      int64_t attack = evaluate::kNoAttack;
      if (!example.labelled().attack().empty()) {
        ATTUNE_ASSIGN_OR_RETURN(
            attack, Candidate(example, example.labelled().attack()));
      }
      labelled_.rows.push_back(row);
      labelled_.labels.push_back(label);
      labelled_.attacks.push_back(attack);
      break;
    }
    case v1::Example::kPair: {
      ATTUNE_ASSIGN_OR_RETURN(const int64_t preferred,
                              Candidate(example, example.pair().preferred()));
      ATTUNE_ASSIGN_OR_RETURN(const int64_t rejected,
                              Candidate(example, example.pair().rejected()));
      pairs_.rows.push_back(row);
      pairs_.preferred.push_back(preferred);
      pairs_.rejected.push_back(rejected);
      break;
    }
    case v1::Example::kCaption:
      captioned_.rows.push_back(row);
      captioned_.captions.push_back(captions_.Add(example.caption().caption()));
      break;
    default:
      // Clean pictures have no text to compare with, but a group perhaps.
      if (!HasAny(example, options_.group_by)) return absl::OkStatus();
  }
  rows_.push_back(&example);
  images_.push_back(examples_.ImageOf(example));
  return absl::OkStatus();
}

absl::Status Evaluator::CheckOrders() const {
  // Within a training an order does not stop the connection.
  return context_->connection.stop().stopped() || context_->orders.given()
             ? absl::CancelledError("the task was asked to stop")
             : absl::OkStatus();
}

void Evaluator::ReportProgress(int64_t done, int64_t total) const {
  if (options_.beside_training) {
    context_->progress.Worked();
  } else {
    context_->progress.Set({.step = done, .total_steps = total});
  }
}

absl::Status Evaluator::LoadPictures(int image_size) {
  std::unique_ptr<PixelStore>& store = pixels_[image_size];
  if (store != nullptr || images_.empty()) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(
      PixelStore loaded,
      PixelStore::Load(context_->connection, examples_, images_,
                       context_->PixelOptions(image_size),
                       [this](int64_t done, int64_t total) {
                         ReportProgress(done, total);
                       }));
  store = std::make_unique<PixelStore>(std::move(loaded));
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> Evaluator::ImageEmbeddings(
    const ClipConfig& config, const model::Tensors& tensors, double t) {
  ATTUNE_RETURN_IF_ERROR(LoadPictures(config.image_size));
  PixelStore& store = *pixels_.at(config.image_size);
  const absl::Span<const int64_t> images(images_);
  std::vector<at::Tensor> parts;
  for (size_t at = 0; at < images.size(); at += kImagesAtATime) {
    ATTUNE_RETURN_IF_ERROR(CheckOrders());
    ATTUNE_ASSIGN_OR_RETURN(const at::Tensor pixels,
                            store.Pixels(images.subspan(at, kImagesAtATime)));
    parts.push_back(
        model::Normalised(
            model::EncodeImages(config, tensors,
                                model::Upload(pixels, context_->device)))
            .to(at::kCPU));
    ReportProgress(
        static_cast<int64_t>(std::min(at + kImagesAtATime, images.size())),
        static_cast<int64_t>(images.size()));
  }
  // Of a linear head f(x)ᵀ V S²ᵗ Vᵀ g(y) needs but one side changed.
  return model::ApplyHead(tensors, at::cat(parts), 2 * t);
}

absl::StatusOr<at::Tensor> Evaluator::TextEmbeddings(
    const ClipConfig& config, const model::Tensors& tensors,
    const std::vector<std::string>& texts) const {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::vector<int32_t>> rows,
                          TokenRows(texts, config, options_.truncate));
  std::vector<at::Tensor> parts;
  for (size_t at = 0; at < rows.size(); at += kTextsAtATime) {
    ATTUNE_RETURN_IF_ERROR(CheckOrders());
    const size_t end = std::min(at + kTextsAtATime, rows.size());
    ATTUNE_ASSIGN_OR_RETURN(
        const model::TextBatch batch,
        model::PackTexts({rows.begin() + at, rows.begin() + end}, config));
    parts.push_back(
        model::Normalised(
            model::EncodeTexts(config, tensors, batch.To(context_->device)))
            .to(at::kCPU));
    context_->progress.Worked();
  }
  return at::cat(parts);
}

absl::StatusOr<at::Tensor> Evaluator::CandidateEmbeddings(
    const ClipConfig& config, const model::Tensors& tensors) const {
  if (options_.templates.empty()) {
    return TextEmbeddings(config, tensors, candidates_.values());
  }
  std::vector<std::string> texts;
  for (const std::string& candidate : candidates_.values()) {
    for (const std::string& form : options_.templates) {
      texts.push_back(absl::StrReplaceAll(form, {{"{}", candidate}}));
    }
  }
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor embeddings,
                          TextEmbeddings(config, tensors, texts));
  // [C, T, D]
  return evaluate::AverageTemplates(embeddings.view(
      {static_cast<int64_t>(candidates_.values().size()),
       static_cast<int64_t>(options_.templates.size()), embeddings.size(1)}));
}

absl::StatusOr<evaluate::Answers> Evaluator::Answer(
    const ClipConfig& config, const model::Tensors& tensors, double t) {
  return model::CatchTorchErrors(
      [&] { return AnswerOrThrow(config, tensors, t); });
}

absl::StatusOr<evaluate::Answers> Evaluator::AnswerOrThrow(
    const ClipConfig& config, const model::Tensors& tensors, double t) {
  const c10::InferenceMode inference;
  const auto worked = [this] { context_->progress.Worked(); };
  evaluate::Answers answers;
  if (images_.empty()) return answers;
  ATTUNE_ASSIGN_OR_RETURN(const at::Tensor images,
                          ImageEmbeddings(config, tensors, t));
  const auto of = [&](const std::vector<int64_t>& rows) {
    return images.index_select(0, Index(rows));
  };
  // Without candidates there is nothing to assign.
  const bool grouped =
      !options_.group_by.empty() && !candidates_.values().empty();
  if (!labelled_.rows.empty() || !pairs_.rows.empty() || grouped) {
    ATTUNE_ASSIGN_OR_RETURN(const at::Tensor candidates,
                            CandidateEmbeddings(config, tensors));
    if (!labelled_.rows.empty()) {
      Append(evaluate::ZeroShotOutcomes(of(labelled_.rows), candidates,
                                        labelled_.labels, labelled_.attacks,
                                        worked),
             labelled_.rows, &answers);
    }
    if (!pairs_.rows.empty()) {
      Append(
          {evaluate::PairOutcomes(of(pairs_.rows), candidates, pairs_.preferred,
                                  pairs_.rejected, worked)},
          pairs_.rows, &answers);
    }
    if (grouped) {
      answers.assigned =
          evaluate::AssignedCandidates(images, candidates, worked);
    }
  }
  if (!captioned_.rows.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(
        const at::Tensor captions,
        TextEmbeddings(config, tensors, captions_.values()));
    Append(evaluate::RetrievalOutcomes(of(captioned_.rows), captions,
                                       captioned_.captions, worked),
           captioned_.rows, &answers);
  }
  return answers;
}

evaluate::Report Evaluator::Report(const evaluate::Answers& model,
                                   const evaluate::Answers* against) const {
  return evaluate::MakeReport(model, against, divisions_, candidates_.values(),
                              {.seed = options_.seed},
                              [this] { context_->progress.Worked(); });
}

}  // namespace attune::task
