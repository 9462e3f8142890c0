// state.db: what the server remembers, as tables behind interfaces. The logic
// that uses them (states, leases, selectors) is server/core's.

#ifndef ATTUNE_STORAGE_STATE_STORE_H_
#define ATTUNE_STORAGE_STATE_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/records.h"
#include "storage/upload_store.h"

namespace attune::storage {

// Every function below may also return UNAVAILABLE (reason DATABASE_BUSY:
// another process holds the database; DISK_ERROR), RESOURCE_EXHAUSTED (reason
// DISK_FULL) or DATA_LOSS (reason DATABASE_DAMAGED). A function that fails may
// have done a part of its work: the transaction's body returns its error, but
// for NOT_FOUND and ALREADY_EXISTS, which change nothing.

class DatasetStore {
 public:
  virtual ~DatasetStore() = default;
  // ALREADY_EXISTS when the name is taken.
  virtual absl::Status Insert(const Dataset& dataset) = 0;
  // NOT_FOUND. Overwrites everything but the name, the example counts and the
  // image bytes.
  virtual absl::Status Update(const Dataset& dataset) = 0;
  virtual absl::StatusOr<Dataset> Get(absl::string_view name) const = 0;
  // In order of name, after `after` ("" for the first page).
  virtual absl::StatusOr<std::vector<Dataset>> List(absl::string_view after,
                                                    int limit) const = 0;
  // Gives ids from the last one on and keeps counts and image bytes, each
  // distinct image counted once. NOT_FOUND.
  virtual absl::Status AddExamples(absl::string_view dataset,
                                   absl::Span<const Example> examples) = 0;
  virtual absl::StatusOr<std::vector<Example>> ListExamples(
      absl::string_view dataset, int64_t after_id, int limit) const = 0;
  virtual absl::Status DeleteExamples(absl::string_view dataset,
                                      absl::Span<const int64_t> ids) = 0;
  // The distinct texts of its examples, captions and attacks included, sorted.
  virtual absl::StatusOr<std::vector<std::string>> DistinctTexts(
      absl::string_view dataset, int limit) const = 0;
  // With its examples. NOT_FOUND.
  virtual absl::Status Delete(absl::string_view name) = 0;
};

// Which evaluations; what is "" does not choose.
struct EvaluationFilter {
  std::string model;  // NAME or NAME:N
  std::string job_id;
};

class JobStore {
 public:
  virtual ~JobStore() = default;
  // Sets job.sequence.
  virtual absl::Status Insert(Job& job) = 0;
  // NOT_FOUND. Overwrites everything but id, sequence, spec, create_time,
  // retry_of and input_digests.
  virtual absl::Status Update(const Job& job) = 0;
  virtual absl::StatusOr<Job> Get(absl::string_view id) const = 0;
  // Training and evaluation jobs, newest first, with a sequence below
  // `before` (0 for the first page); `states` empty means all.
  virtual absl::StatusOr<std::vector<Job>> List(
      int64_t before, int limit, absl::Span<const JobState> states) const = 0;
  // The job that has waited longest in kQueued, of any kind.
  virtual absl::StatusOr<std::optional<Job>> OldestQueued() const = 0;
  // How many queued jobs stand before this one.
  virtual absl::StatusOr<int64_t> CountQueuedBefore(int64_t sequence) const = 0;
  // All jobs in a state, oldest first, at most `limit`.
  virtual absl::StatusOr<std::vector<Job>> ListInState(JobState state,
                                                       int limit) const = 0;
  virtual absl::StatusOr<int64_t> CountInState(JobState state) const = 0;
  // Jobs that have not ended and read the dataset, or read or write the model.
  virtual absl::StatusOr<std::vector<std::string>> UnfinishedUsingDataset(
      absl::string_view dataset) const = 0;
  virtual absl::StatusOr<std::vector<std::string>> UnfinishedUsingModel(
      absl::string_view model) const = 0;

  // A row of the same or an earlier attempt for the same step is replaced, one
  // of a later attempt stays. NaN is kept as an unset value.
  virtual absl::Status PutMetrics(absl::string_view job_id,
                                  absl::Span<const MetricRow> rows) = 0;
  // Removes rows after a step: what a resumed attempt will do again.
  virtual absl::Status DeleteMetricsAfter(absl::string_view job_id,
                                          int64_t step) = 0;
  // Gives a job without rows those of another up to a step, as of attempt 0.
  virtual absl::Status CopyMetrics(absl::string_view from_job_id,
                                   absl::string_view to_job_id,
                                   int64_t last_step) = 0;
  virtual absl::StatusOr<std::vector<MetricRow>> ListMetrics(
      absl::string_view job_id, int64_t after_step, int limit) const = 0;

  // Gives the event its number.
  virtual absl::Status AddEvent(absl::string_view job_id,
                                const JobEvent& event) = 0;
  virtual absl::StatusOr<std::vector<JobEvent>> ListEvents(
      absl::string_view job_id, int64_t after_number, int limit) const = 0;

  // Replaces a checkpoint of the same step. INVALID_ARGUMENT, reason
  // DUPLICATE_TENSOR, when a name occurs twice.
  virtual absl::Status PutCheckpoint(const Checkpoint& checkpoint) = 0;
  // Newest first.
  virtual absl::StatusOr<std::vector<Checkpoint>> ListCheckpoints(
      absl::string_view job_id) const = 0;
  virtual absl::Status DeleteCheckpoint(absl::string_view job_id,
                                        int64_t step) = 0;

  // Ignores the id and t. ALREADY_EXISTS when the job has one of this model.
  virtual absl::Status InsertEvaluation(const Evaluation& evaluation) = 0;
  // Of one version, or for "" the one that was stored first. NOT_FOUND.
  virtual absl::StatusOr<Evaluation> GetEvaluation(
      absl::string_view job_id, absl::string_view model) const = 0;
  // Newest first, ids below `before` (0 for the first page); without the
  // figures of parts, of which an evaluation may have megabytes.
  virtual absl::StatusOr<std::vector<Evaluation>> ListEvaluations(
      const EvaluationFilter& filter, int64_t before, int limit) const = 0;
};

class ModelStore {
 public:
  virtual ~ModelStore() = default;
  // Takes name and create_time: a new model has no versions or aliases.
  // ALREADY_EXISTS when the name is taken.
  virtual absl::Status Insert(const Model& model) = 0;
  virtual absl::StatusOr<Model> Get(absl::string_view name) const = 0;
  virtual absl::StatusOr<std::vector<Model>> List(absl::string_view after,
                                                  int limit) const = 0;
  // Gives the version the next number of its model and returns it. The
  // manifest is stored once per digest. NOT_FOUND without the model;
  // INVALID_ARGUMENT, reason DUPLICATE_TENSOR, when a name occurs twice.
  virtual absl::StatusOr<int32_t> AddVersion(
      const Version& version, const TensorManifest& manifest) = 0;
  virtual absl::StatusOr<Version> GetVersion(absl::string_view model,
                                             int32_t number) const = 0;
  // Newest first, numbers below `before` (0 for the first page).
  virtual absl::StatusOr<std::vector<Version>> ListVersions(
      absl::string_view model, int32_t before, int limit) const = 0;
  virtual absl::StatusOr<TensorManifest> GetManifest(
      absl::string_view manifest_digest) const = 0;
  // Keeps embeddings of images of a dataset by the versions of a manifest,
  // until these or the dataset are deleted. NOT_FOUND without them.
  virtual absl::Status AddEmbeddings(absl::string_view manifest_digest,
                                     absl::string_view dataset,
                                     const StoredEmbeddings& embeddings) = 0;
  // Those of a manifest: the dataset's own, oldest first, then those of other
  // datasets, newest first. NOT_FOUND without manifest or dataset.
  virtual absl::StatusOr<std::vector<StoredEmbeddings>> ListEmbeddings(
      absl::string_view manifest_digest, absl::string_view dataset,
      int limit) const = 0;
  // number 0 removes the alias. NOT_FOUND without the version or, for 0, the
  // alias.
  virtual absl::Status SetAlias(absl::string_view model,
                                absl::string_view alias, int32_t number) = 0;
  // With its versions and aliases; manifests that nothing names go too.
  virtual absl::Status Delete(absl::string_view name) = 0;
};

// Which request_id had which effect.
struct RequestRecord {
  std::string id;      // UUID
  std::string digest;  // of the request
  std::string result;  // key of what it made, such as the job's id
  absl::Time time;
};

class RequestStore {
 public:
  virtual ~RequestStore() = default;
  virtual absl::StatusOr<std::optional<RequestRecord>> Find(
      absl::string_view id) const = 0;
  virtual absl::Status Insert(const RequestRecord& request) = 0;
  virtual absl::Status DeleteBefore(absl::Time time) = 0;
};

class ApiKeyStore {
 public:
  virtual ~ApiKeyStore() = default;
  // ALREADY_EXISTS when a key that is not revoked has the name.
  virtual absl::Status Insert(const ApiKey& key) = 0;
  // Oldest first, revoked ones too.
  virtual absl::StatusOr<std::vector<ApiKey>> List() const = 0;
  // NOT_FOUND when there is none, or it is revoked already.
  virtual absl::Status Revoke(absl::string_view id, absl::Time time) = 0;
};

// The tables as one transaction sees them.
class StateTransaction {
 public:
  virtual ~StateTransaction() = default;
  virtual DatasetStore& datasets() = 0;
  virtual JobStore& jobs() = 0;
  virtual ModelStore& models() = 0;
  virtual RequestStore& requests() = 0;
  virtual UploadStore& uploads() = 0;
  virtual ApiKeyStore& api_keys() = 0;

  // Of those digests, the ones that an example, a manifest (of a version, a
  // checkpoint or embeddings), or an upload that is not committed names.
  virtual absl::StatusOr<std::vector<std::string>> FindReferencedBlobs(
      absl::Span<const std::string> digests) = 0;
  // All such digests in their order, those after `after` ("" for the first).
  virtual absl::StatusOr<std::vector<std::string>> ListReferencedBlobs(
      absl::string_view after, int limit) = 0;
};

// Thread-safe. The functions block on the disk: never call them in a gRPC
// callback.
class StateStore {
 public:
  virtual ~StateStore() = default;

  // Runs `body` in one IMMEDIATE transaction on the only writer; commits,
  // durably, when it returns OK and rolls back otherwise. Writers wait for one
  // another. REQUIRES: `body` does not call Write or Read.
  virtual absl::Status Write(
      absl::FunctionRef<absl::Status(StateTransaction&)> body) = 0;

  // Runs `body` on a consistent snapshot, beside the writer. Its changes are
  // refused with FAILED_PRECONDITION, reason READ_ONLY. Keep it short: the
  // write-ahead log grows meanwhile. REQUIRES: as for Write.
  virtual absl::Status Read(
      absl::FunctionRef<absl::Status(StateTransaction&)> body) = 0;
};

}  // namespace attune::storage

#endif  // ATTUNE_STORAGE_STATE_STORE_H_
