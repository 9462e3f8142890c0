#include "server/core/leases/leased_task.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "server/core/models/selector.h"

namespace attune::core {
namespace {

// In a task, which has to stay a small message.
constexpr int kMaxEmbeddings = 100;

absl::StatusOr<VersionContent> ReadVersion(
    storage::StateTransaction& transaction, absl::string_view version) {
  VersionContent content;
  ATTUNE_ASSIGN_OR_RETURN(content.version,
                          ResolveSelector(transaction, "version", version));
  ATTUNE_ASSIGN_OR_RETURN(content.manifest, transaction.models().GetManifest(
                                                content.version.digest));
  return content;
}

absl::Status ReadInputs(storage::StateTransaction& transaction,
                        const storage::TrainSpec& spec, LeasedTask& task) {
  ATTUNE_ASSIGN_OR_RETURN(task.dataset,
                          transaction.datasets().Get(spec.dataset));
  ATTUNE_ASSIGN_OR_RETURN(task.model, ReadVersion(transaction, spec.base));
  if (!spec.eval_dataset.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(task.eval_dataset,
                            transaction.datasets().Get(spec.eval_dataset));
  }
  ATTUNE_ASSIGN_OR_RETURN(std::vector<storage::Checkpoint> checkpoints,
                          transaction.jobs().ListCheckpoints(task.job.id));
  ATTUNE_ASSIGN_OR_RETURN(task.embeddings, transaction.models().ListEmbeddings(
                                               task.model->version.digest,
                                               spec.dataset, kMaxEmbeddings));
  if (checkpoints.empty()) return absl::OkStatus();
  task.checkpoint = std::move(checkpoints.front());
  checkpoints.erase(checkpoints.begin());
  task.earlier_checkpoints = std::move(checkpoints);
  return absl::OkStatus();
}

absl::Status ReadInputs(storage::StateTransaction& transaction,
                        const storage::EvaluateSpec& spec, LeasedTask& task) {
  ATTUNE_ASSIGN_OR_RETURN(task.dataset,
                          transaction.datasets().Get(spec.dataset));
  ATTUNE_ASSIGN_OR_RETURN(task.model, ReadVersion(transaction, spec.model));
  if (!spec.against.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(task.against,
                            ReadVersion(transaction, spec.against));
  }
  return absl::OkStatus();
}

absl::Status ReadInputs(storage::StateTransaction& transaction,
                        const storage::ValidateSpec& spec, LeasedTask& task) {
  ATTUNE_ASSIGN_OR_RETURN(task.dataset,
                          transaction.datasets().Get(spec.dataset));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LeasedTask> ReadTask(storage::StateTransaction& transaction,
                                    const storage::Job& job) {
  LeasedTask task;
  task.job = job;
  ATTUNE_RETURN_IF_ERROR(std::visit(
      [&](const auto& spec) { return ReadInputs(transaction, spec, task); },
      job.spec));
  return task;
}

std::string TaskName(const storage::Job& job) {
  const auto* validation = std::get_if<storage::ValidateSpec>(&job.spec);
  return validation == nullptr ? job.id
                               : absl::StrCat("validate-", validation->dataset);
}

}  // namespace attune::core
