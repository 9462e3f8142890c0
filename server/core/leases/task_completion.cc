// The part of TaskReports that takes over results.

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bounds.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/safetensors/clip_layout.h"
#include "common/status_macros.h"
#include "server/core/datasets/dataset_digest.h"
#include "server/core/leases/task_reports.h"
#include "server/core/models/manifest.h"
#include "server/core/models/selector.h"
#include "server/core/models/version.h"

namespace attune::core {
namespace {

using storage::Job;
using storage::JobState;
using storage::StateTransaction;
using storage::TensorManifest;
using storage::VersionSource;

// A table by class has a few figures for each of a thousand classes.
constexpr size_t kMaxFigures = 50'000;
constexpr size_t kMaxInvalidExamples = 100;
constexpr size_t kMaxNoteBytes = 1'000;
constexpr size_t kMaxVariantBytes = 64;
constexpr size_t kMaxEmbeddingTensors = 8;

absl::Status InvalidResult(absl::string_view problem) {
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_RESULT", problem);
}

std::vector<VersionSource> ExpectedOutputs(const storage::TrainSpec& spec) {
  if (spec.average) {
    return {VersionSource::kAverage, VersionSource::kLastIterate};
  }
  return {VersionSource::kLastIterate};
}

// Training changes values, never names, types or shapes.
absl::Status CheckSameTensors(const TensorManifest& base,
                              const TensorManifest& output) {
  if (base.size() != output.size()) {
    return InvalidResult(absl::StrCat("the base has ", base.size(),
                                      " tensors, an output ", output.size()));
  }
  for (size_t i = 0; i < base.size(); ++i) {
    if (base[i].name != output[i].name ||
        base[i].data_type != output[i].data_type ||
        base[i].shape != output[i].shape) {
      return InvalidResult(absl::StrCat(
          "tensor '", output[i].name, "' of an output is not the base's '",
          base[i].name, "' with the same type and shape"));
    }
  }
  return absl::OkStatus();
}

// What an output may differ in from its base: the values of tensors; a linear
// head is there beside them.
absl::Status CheckTensors(const storage::TrainSpec& spec,
                          const ClipConfig& config, const TensorManifest& base,
                          const TensorManifest& output) {
  if (spec.trained_part.kind != storage::TrainedKind::kHead) {
    return CheckSameTensors(base, output);
  }
  const int64_t d = config.embedding_size;
  const std::map<std::string, std::vector<int64_t>> head = {
      {kHeadDirections, {d, d}}, {kHeadSingularValues, {d}}};
  TensorManifest towers;
  size_t found = 0;
  for (const storage::TensorEntry& tensor : output) {
    const auto of_head = head.find(tensor.name);
    if (of_head == head.end()) {
      towers.push_back(tensor);
    } else if (tensor.shape != of_head->second ||
               tensor.data_type != storage::DataType::kFloat32) {
      return InvalidResult(absl::StrCat("tensor '", tensor.name,
                                        "' of the head has a wrong shape or "
                                        "type"));
    } else {
      ++found;
    }
  }
  if (found != head.size()) return InvalidResult("an output lacks its head");
  return CheckSameTensors(base, towers);
}

absl::Status CheckFigures(const EvaluateResult& result) {
  if (result.figures.size() > kMaxFigures ||
      result.against_figures.size() > kMaxFigures ||
      result.comparisons.size() > kMaxFigures) {
    return InvalidResult("there are more than 50,000 figures");
  }
  return absl::OkStatus();
}

// Their tensors are the worker's affair.
absl::Status CheckEmbeddings(const storage::StoredEmbeddings& embeddings) {
  if (embeddings.variant.empty() ||
      embeddings.variant.size() > kMaxVariantBytes) {
    return InvalidResult("the variant of embeddings must have 1 to 64 bytes");
  }
  if (embeddings.manifest.empty() ||
      embeddings.manifest.size() > kMaxEmbeddingTensors) {
    return InvalidResult("embeddings must have 1 to 8 tensors");
  }
  return ValidateManifest(embeddings.manifest);
}

absl::Status CheckShape(const Job& job, const TrainResult& result) {
  const auto* spec = std::get_if<storage::TrainSpec>(&job.spec);
  if (spec == nullptr) return InvalidResult("the task is no training");
  std::vector<VersionSource> sources;
  for (const TrainOutput& output : result.outputs) {
    sources.push_back(output.source);
    ATTUNE_RETURN_IF_ERROR(ValidateManifest(output.manifest));
  }
  if (sources != ExpectedOutputs(*spec)) {
    return InvalidResult(
        "outputs must be the average (unless the job has none), then the last "
        "iterate");
  }
  if (result.embeddings.has_value()) {
    ATTUNE_RETURN_IF_ERROR(CheckEmbeddings(*result.embeddings));
  }
  if (!result.evaluations.empty() && spec->eval_dataset.empty()) {
    return InvalidResult("the job has no eval_dataset");
  }
  if (result.evaluations.size() > result.outputs.size()) {
    return InvalidResult("there are more evaluations than outputs");
  }
  if (spec->guard.has_value() &&
      result.evaluations.size() < result.outputs.size()) {
    return InvalidResult("a guarded job evaluates every output");
  }
  if (result.note.size() > kMaxNoteBytes) {
    return InvalidResult("the note has more than 1,000 bytes");
  }
  for (const EvaluateResult& evaluation : result.evaluations) {
    ATTUNE_RETURN_IF_ERROR(CheckFigures(evaluation));
  }
  return absl::OkStatus();
}

absl::Status CheckShape(const Job& job, const EvaluateResult& result) {
  if (!std::holds_alternative<storage::EvaluateSpec>(job.spec)) {
    return InvalidResult("the task is no evaluation");
  }
  return CheckFigures(result);
}

absl::Status CheckShape(const Job& job, const ValidateResult& result) {
  if (!std::holds_alternative<storage::ValidateSpec>(job.spec)) {
    return InvalidResult("the task is no validation");
  }
  if (result.invalid_examples.size() > kMaxInvalidExamples) {
    return InvalidResult("there are more than 100 invalid examples");
  }
  if (result.invalid_example_count <
      static_cast<int64_t>(result.invalid_examples.size())) {
    return InvalidResult(
        "invalid_example_count is below the number of invalid examples");
  }
  return absl::OkStatus();
}

absl::Status InsertEvaluation(StateTransaction& transaction, const Job& job,
                              absl::string_view dataset,
                              absl::string_view model,
                              absl::string_view against,
                              const EvaluateResult& result, absl::Time now) {
  ATTUNE_ASSIGN_OR_RETURN(const storage::Dataset evaluated,
                          transaction.datasets().Get(dataset));
  return transaction.jobs().InsertEvaluation(
      {.id = 0,
       .job_id = job.id,
       .create_time = now,
       .dataset = std::string(dataset),
       .dataset_digest = evaluated.digest,
       .model = std::string(model),
       .against = std::string(against),
       .figures = result.figures,
       .against_figures = result.against_figures,
       .comparisons = result.comparisons});
}

absl::Status ApplyEvaluation(StateTransaction& transaction, const Job& job,
                             const EvaluateResult& result, absl::Time now) {
  const auto& spec = std::get<storage::EvaluateSpec>(job.spec);
  return InsertEvaluation(transaction, job, spec.dataset, spec.model,
                          spec.against, result, now);
}

absl::Status ApplyValidation(StateTransaction& transaction, const Job& job,
                             const ValidateResult& result,
                             absl::string_view digest, absl::Time now) {
  const auto& spec = std::get<storage::ValidateSpec>(job.spec);
  ATTUNE_ASSIGN_OR_RETURN(storage::Dataset dataset,
                          transaction.datasets().Get(spec.dataset));
  dataset.invalid_examples = result.invalid_examples;
  dataset.invalid_example_count = result.invalid_example_count;
  if (result.invalid_example_count == 0) {
    dataset.state = storage::DatasetState::kSealed;
    dataset.seal_time = now;
    dataset.digest = std::string(digest);
  } else {
    dataset.state = storage::DatasetState::kInvalid;
  }
  return transaction.datasets().Update(dataset);
}

FigureValues ValuesOf(const std::vector<storage::Figure>& figures) {
  FigureValues values;
  for (const storage::Figure& figure : figures) {
    if (!figure.of_a_part()) values[figure.name] = figure.value;
  }
  return values;
}

// The versions of a training job, the first one the new "latest", and its
// evaluations.
absl::StatusOr<std::vector<std::string>> ApplyTraining(
    StateTransaction& transaction, const Job& job, const TrainResult& result,
    absl::Time now) {
  const auto& spec = std::get<storage::TrainSpec>(job.spec);
  ATTUNE_ASSIGN_OR_RETURN(const storage::Version base,
                          ResolveSelector(transaction, "base", spec.base));
  ATTUNE_ASSIGN_OR_RETURN(const TensorManifest base_manifest,
                          transaction.models().GetManifest(base.digest));
  ATTUNE_ASSIGN_OR_RETURN(const storage::Dataset dataset,
                          transaction.datasets().Get(spec.dataset));
  std::vector<std::string> names;
  for (const TrainOutput& output : result.outputs) {
    ATTUNE_RETURN_IF_ERROR(
        CheckTensors(spec, base.config, base_manifest, output.manifest));
    storage::Version version;
    version.model = spec.output_model;
    version.source = output.source;
    version.create_time = now;
    version.config = base.config;
    version.job_id = job.id;
    version.base = spec.base;
    version.dataset = spec.dataset;
    version.dataset_digest = dataset.digest;
    if (spec.guard.has_value()) {
      const EvaluateResult& evaluation = result.evaluations[names.size()];
      version.broken_bounds = BrokenBounds(spec.guard->max_drop,
                                           ValuesOf(evaluation.against_figures),
                                           ValuesOf(evaluation.figures));
    }
    ATTUNE_ASSIGN_OR_RETURN(
        const storage::Version added,
        AddVersion(transaction, std::move(version), output.manifest,
                   /*move_latest=*/names.empty()));
    names.push_back(VersionName(added));
  }
  if (result.embeddings.has_value()) {
    ATTUNE_RETURN_IF_ERROR(transaction.models().AddEmbeddings(
        base.digest, spec.dataset, *result.embeddings));
  }
  for (size_t i = 0; i < result.evaluations.size(); ++i) {
    ATTUNE_RETURN_IF_ERROR(InsertEvaluation(transaction, job, spec.eval_dataset,
                                            names[i], spec.base,
                                            result.evaluations[i], now));
  }
  return names;
}

}  // namespace

absl::StatusOr<TaskReports::Completion> TaskReports::PrepareCompletion(
    absl::string_view token, const TaskResult& result) const {
  Completion completion;
  ATTUNE_RETURN_IF_ERROR(state_.Read([&](StateTransaction& transaction) {
    absl::StatusOr<Job> job = transaction.jobs().Get(JobOfToken(token));
    if (job.ok() && job->state == JobState::kSucceeded &&
        job->lease_token_hash == Sha256Hex(token)) {
      completion.repeated = true;
      completion.versions = job->output_versions;
      return absl::OkStatus();
    }
    ATTUNE_ASSIGN_OR_RETURN(job, LeasedJob(transaction, token));
    ATTUNE_RETURN_IF_ERROR(std::visit(
        [&](const auto& value) { return CheckShape(*job, value); }, result));
    // Long for a large dataset, and nothing changes a dataset that is being
    // validated: so not in the transaction that writes.
    if (const auto* spec = std::get_if<storage::ValidateSpec>(&job->spec)) {
      ATTUNE_ASSIGN_OR_RETURN(const storage::Dataset dataset,
                              transaction.datasets().Get(spec->dataset));
      ATTUNE_ASSIGN_OR_RETURN(completion.dataset_digest,
                              DatasetDigest(transaction, dataset));
    }
    return absl::OkStatus();
  }));
  if (const auto* training = std::get_if<TrainResult>(&result);
      training != nullptr && !completion.repeated) {
    for (const TrainOutput& output : training->outputs) {
      ATTUNE_RETURN_IF_ERROR(CheckBlobs(blobs_, output.manifest));
    }
    if (training->embeddings.has_value()) {
      ATTUNE_RETURN_IF_ERROR(
          CheckBlobs(blobs_, training->embeddings->manifest));
    }
  }
  return completion;
}

absl::StatusOr<std::vector<std::string>> TaskReports::Complete(
    absl::string_view token, const TaskResult& result) {
  ATTUNE_ASSIGN_OR_RETURN(const Completion completion,
                          PrepareCompletion(token, result));
  if (completion.repeated) return completion.versions;
  Job job;
  std::string worker_id;
  std::string note;
  std::vector<JobMove> moves;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction)
                                          -> absl::Status {
    const absl::Time now = clock_.WallNow();
    ATTUNE_ASSIGN_OR_RETURN(job, LeasedJob(transaction, token));
    worker_id = job.worker_id;
    // A result that comes while the job pauses is a result: only who has
    // cancelled does not want it.
    if (job.state == JobState::kCancelling) {
      return ReleaseJob(transaction, job, AttemptEnd::kHandBack, options_,
                        "the task was done when it was asked to stop", now,
                        moves);
    }
    if (const auto* training = std::get_if<TrainResult>(&result)) {
      ATTUNE_ASSIGN_OR_RETURN(job.output_versions,
                              ApplyTraining(transaction, job, *training, now));
      if (job.total_steps > 0) job.step = job.total_steps;
      if (training->steps_done.has_value()) job.step = *training->steps_done;
      note = training->note;
    } else if (const auto* evaluation = std::get_if<EvaluateResult>(&result)) {
      ATTUNE_RETURN_IF_ERROR(
          ApplyEvaluation(transaction, job, *evaluation, now));
    } else {
      ATTUNE_RETURN_IF_ERROR(ApplyValidation(transaction, job,
                                             std::get<ValidateResult>(result),
                                             completion.dataset_digest, now));
    }
    std::string event = "Succeeded";
    if (!job.output_versions.empty()) {
      absl::StrAppend(&event, ", made ",
                      absl::StrJoin(job.output_versions, ", "));
    }
    if (!note.empty()) absl::StrAppend(&event, ". ", note);
    return MoveJob(transaction, job, JobState::kSucceeded, event, note, now,
                   moves);
  }));
  Released(job, worker_id, moves);
  return job.output_versions;
}

}  // namespace attune::core
