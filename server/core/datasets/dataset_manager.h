#ifndef ATTUNE_SERVER_CORE_DATASETS_DATASET_MANAGER_H_
#define ATTUNE_SERVER_CORE_DATASETS_DATASET_MANAGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "server/core/datasets/dataset_upload.h"
#include "server/core/idempotency.h"
#include "server/core/jobs/job_signals.h"
#include "server/core/leases/lease_table.h"
#include "server/core/leases/worker_registry.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::core {

// A dataset, and why it waits or how far its validation is ("" otherwise).
struct DatasetView {
  storage::Dataset dataset;
  std::string status_message;
};

// Datasets from their creation to their deletion. Thread-safe; blocks on the
// disk.
class DatasetManager {
 public:
  // The arguments outlive the manager and the uploads that it begins.
  // `on_delete` is called after a deletion: blobs may have become garbage.
  DatasetManager(storage::StateStore& state, storage::BlobStore& blobs,
                 const Clock& clock, const WorkerRegistry& workers,
                 LeaseTable& leases, JobSignals& signals,
                 std::function<void()> on_delete = nullptr)
      : state_(state),
        blobs_(blobs),
        clock_(clock),
        workers_(workers),
        leases_(leases),
        signals_(signals),
        on_delete_(std::move(on_delete)) {}

  // INVALID_ARGUMENT naming name or candidate; ALREADY_EXISTS; the errors of
  // ApplyOnce, also of the calls below.
  absl::StatusOr<DatasetView> Create(absl::string_view name,
                                     std::vector<std::string> candidates,
                                     const RequestKey& key);

  // Begins to add examples, or goes on with upload `request_id` at `offset` of
  // its bytes. NOT_FOUND; FAILED_PRECONDITION, reason DATASET_SEALED, unless
  // the dataset takes uploads or `request_id` is of an upload that was
  // committed; RESOURCE_EXHAUSTED, reason LOW_DISK_SPACE; the errors of
  // UploadStaging::Begin.
  absl::StatusOr<std::unique_ptr<DatasetUpload>> BeginUpload(
      absl::string_view name, absl::string_view request_id, int64_t offset = 0);
  // What is stored of an upload. NOT_FOUND without the dataset; the errors of
  // core::FindUpload.
  absl::StatusOr<UploadProgress> GetUpload(absl::string_view name,
                                           absl::string_view request_id) const;

  // Ends the uploads and queues the validation. FAILED_PRECONDITION, reason
  // EMPTY_DATASET, DATASET_SEALED or TOO_MANY_CANDIDATES.
  absl::StatusOr<DatasetView> Seal(absl::string_view name,
                                   const RequestKey& key);

  // Removes the invalid examples of an INVALID dataset and validates the rest.
  // FAILED_PRECONDITION, reason DATASET_NOT_INVALID or EMPTY_DATASET.
  absl::StatusOr<DatasetView> DropInvalid(absl::string_view name,
                                          const RequestKey& key);

  absl::StatusOr<DatasetView> Get(absl::string_view name) const;
  // By name, after `after`.
  absl::StatusOr<std::vector<DatasetView>> List(absl::string_view after,
                                                int limit) const;
  // In order of upload, ids above `after_id`. NOT_FOUND without the dataset.
  absl::StatusOr<std::vector<storage::Example>> ListExamples(
      absl::string_view name, int64_t after_id, int limit) const;

  // With its examples. FAILED_PRECONDITION, reason DATASET_IN_USE, while a job
  // that has not ended uses it or a worker validates it; a validation that
  // still waits is cancelled.
  absl::Status Delete(absl::string_view name, const RequestKey& key);

 private:
  // Makes the dataset VALIDATING once `prepare` has agreed.
  absl::StatusOr<DatasetView> Validate(
      absl::string_view name, const RequestKey& key,
      absl::FunctionRef<absl::Status(storage::StateTransaction&,
                                     storage::Dataset&)>
          prepare);
  absl::StatusOr<DatasetView> Read(storage::StateTransaction& transaction,
                                   absl::string_view name) const;
  absl::StatusOr<DatasetView> Describe(storage::StateTransaction& transaction,
                                       storage::Dataset dataset) const;

  storage::StateStore& state_;
  storage::BlobStore& blobs_;
  const Clock& clock_;
  const WorkerRegistry& workers_;
  LeaseTable& leases_;
  JobSignals& signals_;
  const std::function<void()> on_delete_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_DATASETS_DATASET_MANAGER_H_
