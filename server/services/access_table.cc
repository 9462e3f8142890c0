#include "server/services/access_table.h"

#include <map>
#include <utility>

namespace attune::services {
namespace {

using ::attune::storage::Role;

constexpr Roles kUsers = {Role::kUser, Role::kOperator};
constexpr Roles kOperators = {Role::kOperator};
constexpr Roles kWorkers = {Role::kWorker};
constexpr Roles kEverybody = {Role::kUser, Role::kWorker, Role::kOperator};

using Method = std::pair<absl::string_view, absl::string_view>;

const std::map<Method, Roles>& Table() {
  static const auto& table = *new std::map<Method, Roles>{
      {{"DatasetService", "CreateDataset"}, kUsers},
      {{"DatasetService", "UploadExamples"}, kUsers},
      {{"DatasetService", "GetUpload"}, kUsers},
      {{"DatasetService", "SealDataset"}, kUsers},
      {{"DatasetService", "GetDataset"}, kUsers},
      {{"DatasetService", "ListDatasets"}, kUsers},
      // A task names a dataset, whose rows the worker reads.
      {{"DatasetService", "ListExamples"}, kEverybody},
      {{"DatasetService", "DownloadExamples"}, kUsers},
      {{"DatasetService", "DropExamples"}, kUsers},
      {{"DatasetService", "DeleteDataset"}, kOperators},

      {{"JobService", "CreateJob"}, kUsers},
      {{"JobService", "GetJob"}, kUsers},
      {{"JobService", "ListJobs"}, kUsers},
      {{"JobService", "CancelJob"}, kUsers},
      {{"JobService", "PauseJob"}, kUsers},
      {{"JobService", "ResumeJob"}, kUsers},
      {{"JobService", "RetryJob"}, kUsers},
      {{"JobService", "WatchJob"}, kUsers},
      {{"JobService", "ListMetrics"}, kUsers},
      {{"JobService", "ListEvents"}, kUsers},
      {{"JobService", "ListCheckpoints"}, kUsers},
      {{"JobService", "GetEvaluation"}, kUsers},
      {{"JobService", "ListEvaluations"}, kUsers},

      {{"ModelService", "ImportModel"}, kUsers},
      {{"ModelService", "GetImport"}, kUsers},
      {{"ModelService", "GetModel"}, kUsers},
      {{"ModelService", "ListModels"}, kUsers},
      {{"ModelService", "ListVersions"}, kUsers},
      {{"ModelService", "GetVersion"}, kUsers},
      {{"ModelService", "ExportVersion"}, kUsers},
      {{"ModelService", "SetAlias"}, kUsers},
      {{"ModelService", "DeleteModel"}, kOperators},

      {{"InferenceService", "EmbedImages"}, kUsers},
      {{"InferenceService", "EmbedTexts"}, kUsers},
      {{"InferenceService", "ClassifyImages"}, kUsers},
      {{"InferenceService", "Compare"}, kUsers},

      {{"WorkerService", "Register"}, kWorkers},
      {{"WorkerService", "ListWorkers"}, kUsers},
      {{"WorkerService", "LeaseTask"}, kWorkers},
      {{"WorkerService", "Heartbeat"}, kWorkers},
      {{"WorkerService", "ReportMetrics"}, kWorkers},
      {{"WorkerService", "GetBlobs"}, kWorkers},
      {{"WorkerService", "PutBlobs"}, kWorkers},
      {{"WorkerService", "FindMissingBlobs"}, kWorkers},
      {{"WorkerService", "CommitCheckpoint"}, kWorkers},
      {{"WorkerService", "CompleteTask"}, kWorkers},
      {{"WorkerService", "FailTask"}, kWorkers},
      {{"WorkerService", "Serve"}, kWorkers},
  };
  return table;
}

}  // namespace

Roles RolesOf(absl::string_view service, absl::string_view method) {
  const auto found = Table().find({service, method});
  return found == Table().end() ? Roles() : found->second;
}

}  // namespace attune::services
