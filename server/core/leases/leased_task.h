#ifndef ATTUNE_SERVER_CORE_LEASES_LEASED_TASK_H_
#define ATTUNE_SERVER_CORE_LEASES_LEASED_TASK_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/state_store.h"

namespace attune::core {

// A version's tensors, enough to load it.
struct VersionContent {
  storage::Version version;
  storage::TensorManifest manifest;
};

// A job with everything that a worker needs to do it.
struct LeasedTask {
  std::string lease_token;
  storage::Job job;
  storage::Dataset dataset;
  std::optional<VersionContent> model;    // the base, or what is evaluated
  std::optional<VersionContent> against;  // evaluation only
  std::optional<storage::Dataset> eval_dataset;
  std::optional<storage::Checkpoint> checkpoint;  // the last, if any
  // Newest first, for a last one that turns out to be damaged.
  std::vector<storage::Checkpoint> earlier_checkpoints;
  // Training only: what earlier jobs computed of the base.
  std::vector<storage::StoredEmbeddings> embeddings;
};

// Reads what a job names into a task without its token. NOT_FOUND when
// something of it is gone.
absl::StatusOr<LeasedTask> ReadTask(storage::StateTransaction& transaction,
                                    const storage::Job& job);

// What people call the task: the job's id, or "validate-DATASET".
std::string TaskName(const storage::Job& job);

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_LEASES_LEASED_TASK_H_
