#include "server/core/jobs/job_inputs.h"

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/status_macros.h"
#include "server/core/datasets/dataset_checks.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

using Digests = std::vector<std::string>;

absl::Status AppendDataset(storage::StateTransaction& transaction,
                           absl::string_view name, Digests& digests) {
  if (name.empty()) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(const storage::Dataset dataset,
                          GetSealedDataset(transaction, name));
  digests.push_back(dataset.digest);
  return absl::OkStatus();
}

absl::Status AppendVersion(storage::StateTransaction& transaction,
                           absl::string_view field, absl::string_view version,
                           Digests& digests) {
  if (version.empty()) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(const storage::Version found,
                          ResolveSelector(transaction, field, version));
  digests.push_back(found.digest);
  return absl::OkStatus();
}

absl::Status AddInputs(storage::StateTransaction& transaction,
                       const storage::TrainSpec& spec, Digests& digests) {
  ATTUNE_RETURN_IF_ERROR(AppendDataset(transaction, spec.dataset, digests));
  ATTUNE_RETURN_IF_ERROR(
      AppendVersion(transaction, "train.base", spec.base, digests));
  return AppendDataset(transaction, spec.eval_dataset, digests);
}

absl::Status AddInputs(storage::StateTransaction& transaction,
                       const storage::EvaluateSpec& spec, Digests& digests) {
  ATTUNE_RETURN_IF_ERROR(AppendDataset(transaction, spec.dataset, digests));
  ATTUNE_RETURN_IF_ERROR(
      AppendVersion(transaction, "evaluate.model", spec.model, digests));
  return AppendVersion(transaction, "evaluate.against", spec.against, digests);
}

absl::Status AddInputs(storage::StateTransaction&, const storage::ValidateSpec&,
                       Digests&) {
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Digests> ReadInputDigests(storage::StateTransaction& transaction,
                                         const storage::JobSpec& spec) {
  Digests digests;
  ATTUNE_RETURN_IF_ERROR(std::visit(
      [&](const auto& value) { return AddInputs(transaction, value, digests); },
      spec));
  return digests;
}

absl::Status CheckInputs(storage::StateTransaction& transaction,
                         const storage::Job& job) {
  ATTUNE_ASSIGN_OR_RETURN(const Digests digests,
                          ReadInputDigests(transaction, job.spec));
  // Jobs of an older build do not say.
  if (job.input_digests.empty() || digests == job.input_digests) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kFailedPrecondition, "INPUT_CHANGED",
               "a dataset or version that the job reads was replaced by "
               "another of the same name: submit a new job");
}

}  // namespace attune::core
