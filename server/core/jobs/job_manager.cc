#include "server/core/jobs/job_manager.h"

#include <utility>

#include "common/error.h"
#include "common/failpoint.h"
#include "common/ids.h"
#include "common/status_macros.h"
#include "server/core/datasets/dataset_checks.h"
#include "server/core/datasets/evaluation_checks.h"
#include "server/core/jobs/job_digest.h"
#include "server/core/jobs/job_inputs.h"
#include "server/core/jobs/job_moves.h"
#include "server/core/models/linear_head.h"
#include "server/core/models/selector.h"

namespace attune::core {

using storage::Dataset;
using storage::Job;
using storage::StateTransaction;
using storage::Version;

namespace {

absl::Status CheckBase(StateTransaction& transaction, const Version& base) {
  ATTUNE_ASSIGN_OR_RETURN(const storage::TensorManifest manifest,
                          transaction.models().GetManifest(base.digest));
  if (!HasLinearHead(manifest)) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, "BASE_HAS_HEAD",
               absl::StrCat(VersionName(base),
                            " has a linear head, which no training starts "
                            "from: name the version that it was made from"));
}

// Fills in spec.t for a model with a linear head and refuses it for another.
absl::Status FillInKnob(StateTransaction& transaction, const Version& model,
                        storage::EvaluateSpec& spec) {
  ATTUNE_ASSIGN_OR_RETURN(const storage::TensorManifest manifest,
                          transaction.models().GetManifest(model.digest));
  const bool has_head = HasLinearHead(manifest);
  ATTUNE_ASSIGN_OR_RETURN(const double t,
                          ResolveKnob(has_head, spec.t, "evaluate.t"));
  if (has_head) spec.t = t;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Job> JobManager::CreateTrain(const TrainRequest& request,
                                            const RequestKey& key) {
  ATTUNE_ASSIGN_OR_RETURN(std::optional<Job> earlier, FindEarlier(key));
  if (earlier.has_value()) return *std::move(earlier);
  ATTUNE_ASSIGN_OR_RETURN(storage::TrainSpec spec, ResolveTrainSpec(request));
  std::vector<std::string> inputs;
  // Reads whole datasets, so not in the transaction that writes: nothing but a
  // deletion changes them any more.
  ATTUNE_RETURN_IF_ERROR(state_.Read([&](StateTransaction& transaction)
                                         -> absl::Status {
    ATTUNE_ASSIGN_OR_RETURN(
        const Version base,
        ResolveSelector(transaction, "train.base", spec.base));
    spec.base = VersionName(base);
    ATTUNE_RETURN_IF_ERROR(CheckBase(transaction, base));
    const int context_length = base.config.context_length;
    ATTUNE_RETURN_IF_ERROR(CheckTrainedPart(spec.trained_part, base.config));
    ATTUNE_ASSIGN_OR_RETURN(const Dataset dataset,
                            GetSealedDataset(transaction, spec.dataset));
    ATTUNE_RETURN_IF_ERROR(CheckTrainingData(
        transaction, dataset, *request.objective.schema, spec, context_length));
    inputs = {dataset.digest, base.digest};
    if (spec.eval_dataset.empty()) return absl::OkStatus();
    ATTUNE_ASSIGN_OR_RETURN(const Dataset eval_dataset,
                            GetSealedDataset(transaction, spec.eval_dataset));
    inputs.push_back(eval_dataset.digest);
    if (spec.guard.has_value()) {
      ATTUNE_RETURN_IF_ERROR(
          ResolveGuard(transaction, eval_dataset, *spec.guard));
    }
    return CheckEvaluationData(transaction, "train.eval_dataset", eval_dataset,
                               {.dataset = spec.eval_dataset,
                                .model = spec.base,
                                .against = "",
                                .templates = {},
                                .truncate = spec.truncate,
                                .group_by = {},
                                .seed = 0},
                               context_length);
  }));
  return CreateOnce(std::move(spec), inputs, key);
}

absl::StatusOr<Job> JobManager::CreateEvaluate(const EvaluateRequest& request,
                                               const RequestKey& key) {
  ATTUNE_ASSIGN_OR_RETURN(std::optional<Job> earlier, FindEarlier(key));
  if (earlier.has_value()) return *std::move(earlier);
  ATTUNE_ASSIGN_OR_RETURN(storage::EvaluateSpec spec,
                          ResolveEvaluateSpec(request));
  std::vector<std::string> inputs;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            const Version model,
            ResolveSelector(transaction, "evaluate.model", spec.model));
        spec.model = VersionName(model);
        ATTUNE_RETURN_IF_ERROR(FillInKnob(transaction, model, spec));
        ATTUNE_ASSIGN_OR_RETURN(const Dataset dataset,
                                GetSealedDataset(transaction, spec.dataset));
        ATTUNE_RETURN_IF_ERROR(
            CheckEvaluationData(transaction, "evaluate.dataset", dataset, spec,
                                model.config.context_length));
        inputs = {dataset.digest, model.digest};
        if (spec.against.empty()) spec.against = model.base;
        if (spec.against.empty()) return absl::OkStatus();
        absl::StatusOr<Version> against =
            ResolveSelector(transaction, "evaluate.against", spec.against);
        if (absl::IsNotFound(against.status()) && request.against.empty()) {
          // The base of the lineage has been deleted.
          spec.against.clear();
          return absl::OkStatus();
        }
        ATTUNE_RETURN_IF_ERROR(against.status());
        spec.against = VersionName(*against);
        inputs.push_back(against->digest);
        return CheckEvaluationData(transaction, "evaluate.dataset", dataset,
                                   spec, against->config.context_length);
      }));
  return CreateOnce(std::move(spec), inputs, key);
}

absl::StatusOr<std::optional<Job>> JobManager::FindEarlier(
    const RequestKey& key) const {
  std::optional<Job> job;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const std::optional<std::string> id,
                                FindApplied(transaction, key));
        if (!id.has_value()) return absl::OkStatus();
        ATTUNE_ASSIGN_OR_RETURN(job, transaction.jobs().Get(*id));
        return Describe(transaction, *job);
      }));
  return job;
}

absl::StatusOr<Job> JobManager::CreateOnce(
    storage::JobSpec spec, const std::vector<std::string>& inputs,
    const RequestKey& key) {
  Failpoint("create_job.checked");
  Job job;
  job.id = NewId("job");
  job.config_digest = ConfigDigest(spec, inputs);
  job.input_digests = inputs;
  job.spec = std::move(spec);
  ATTUNE_RETURN_IF_ERROR(
      state_.Write([&](StateTransaction& transaction) -> absl::Status {
        const absl::Time now = clock_.WallNow();
        ATTUNE_ASSIGN_OR_RETURN(
            const std::string id,
            ApplyOnce(
                transaction, key, now, [&]() -> absl::StatusOr<std::string> {
                  ATTUNE_RETURN_IF_ERROR(CheckInputs(transaction, job));
                  ATTUNE_RETURN_IF_ERROR(InsertQueued(transaction, job, now));
                  Failpoint("create_job.inserted");
                  return job.id;
                }));
        Failpoint("create_job.recorded");
        ATTUNE_ASSIGN_OR_RETURN(job, transaction.jobs().Get(id));
        return Describe(transaction, job);
      }));
  Failpoint("create_job.committed");
  signals_.Queued(job.id);
  Failpoint("create_job.announced");
  return job;
}

}  // namespace attune::core
