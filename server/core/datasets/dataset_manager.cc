#include "server/core/datasets/dataset_manager.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error.h"
#include "common/ids.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "server/core/jobs/job_moves.h"

namespace attune::core {
namespace {

using storage::Dataset;
using storage::DatasetState;
using storage::Job;
using storage::JobState;
using storage::StateTransaction;

constexpr size_t kMaxCandidates = 10'000;
// They travel with every answer about their dataset.
constexpr size_t kMaxCandidateBytes = size_t{2} << 20;

size_t TotalBytes(const std::vector<std::string>& texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

absl::Status CheckCandidates(const std::vector<std::string>& candidates) {
  if (candidates.size() > kMaxCandidates) {
    return InvalidField("candidates", "must be at most 10,000");
  }
  if (TotalBytes(candidates) > kMaxCandidateBytes) {
    return InvalidField("candidates", "must have at most 2 MiB in all");
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const std::string field = absl::StrCat("candidates[", i, "]");
    ATTUNE_RETURN_IF_ERROR(ValidateText(field, candidates[i]));
    if (!seen.insert(candidates[i]).second) {
      return InvalidField(field, "is there twice");
    }
  }
  return absl::OkStatus();
}

// As which UploadStaging knows the uploads to a dataset.
std::string UploadTarget(absl::string_view dataset) {
  return absl::StrCat("dataset/", dataset);
}

absl::Status EmptyDataset(absl::string_view name) {
  return Error(
      absl::StatusCode::kFailedPrecondition, "EMPTY_DATASET",
      absl::StrCat("dataset '", name, "' has no examples: upload some first"));
}

// Unless they were named: the distinct texts of the examples. Captions match
// within a batch, so a dataset of nothing but captions needs no list.
absl::Status FillCandidates(StateTransaction& transaction, Dataset& dataset) {
  if (dataset.candidates_named) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(
      dataset.candidates,
      transaction.datasets().DistinctTexts(dataset.name, kMaxCandidates + 1));
  if (dataset.candidates.size() <= kMaxCandidates &&
      TotalBytes(dataset.candidates) <= kMaxCandidateBytes) {
    return absl::OkStatus();
  }
  dataset.candidates.clear();
  if (dataset.counts.pair + dataset.counts.labelled == 0) {
    return absl::OkStatus();
  }
  return Error(
      absl::StatusCode::kFailedPrecondition, "TOO_MANY_CANDIDATES",
      absl::StrCat("the examples of '", dataset.name,
                   "' have more than 10,000 distinct texts, or 2 MiB of "
                   "them: name the candidates when the dataset is "
                   "created"));
}

// The validation of the dataset that has not ended, if any.
absl::StatusOr<std::optional<Job>> FindValidation(StateTransaction& transaction,
                                                  absl::string_view dataset) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                          transaction.jobs().UnfinishedUsingDataset(dataset));
  for (const std::string& id : ids) {
    ATTUNE_ASSIGN_OR_RETURN(Job job, transaction.jobs().Get(id));
    if (std::holds_alternative<storage::ValidateSpec>(job.spec)) return job;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<DatasetView> DatasetManager::Create(
    absl::string_view name, std::vector<std::string> candidates,
    const RequestKey& key) {
  ATTUNE_RETURN_IF_ERROR(ValidateName("name", name));
  ATTUNE_RETURN_IF_ERROR(CheckCandidates(candidates));
  Dataset dataset;
  dataset.name = std::string(name);
  dataset.create_time = clock_.WallNow();
  dataset.candidates_named = !candidates.empty();
  dataset.candidates = std::move(candidates);
  DatasetView view;
  ATTUNE_RETURN_IF_ERROR(
      state_.Write([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(
            ApplyOnce(transaction, key, clock_.WallNow(),
                      [&]() -> absl::StatusOr<std::string> {
                        ATTUNE_RETURN_IF_ERROR(
                            transaction.datasets().Insert(dataset));
                        return dataset.name;
                      })
                .status());
        ATTUNE_ASSIGN_OR_RETURN(view, Read(transaction, name));
        return absl::OkStatus();
      }));
  return view;
}

absl::StatusOr<std::unique_ptr<DatasetUpload>> DatasetManager::BeginUpload(
    absl::string_view name, absl::string_view request_id, int64_t offset) {
  ATTUNE_RETURN_IF_ERROR(ValidateName("header.dataset", name));
  ATTUNE_RETURN_IF_ERROR(ValidateRequestId(request_id));
  Dataset dataset;
  bool committed = false;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(dataset, transaction.datasets().Get(name));
        if (!request_id.empty()) {
          ATTUNE_ASSIGN_OR_RETURN(
              const UploadProgress progress,
              FindUpload(transaction, request_id, UploadTarget(name)));
          committed = progress.committed;
        }
        if (!committed && dataset.state != DatasetState::kOpen) {
          return Error(
              absl::StatusCode::kFailedPrecondition, "DATASET_SEALED",
              absl::StrCat("dataset '", name,
                           "' takes no more examples: make a new one"));
        }
        return absl::OkStatus();
      }));
  std::unique_ptr<UploadStaging> staging;
  if (!committed) {
    ATTUNE_RETURN_IF_ERROR(blobs_.CheckRoom());
    ATTUNE_ASSIGN_OR_RETURN(staging,
                            UploadStaging::Begin(state_, clock_, request_id,
                                                 UploadTarget(name), offset));
  } else if (offset != 0) {
    return InvalidField("header.offset",
                        "must be 0: the upload has been committed");
  }
  return std::make_unique<DatasetUpload>(state_, blobs_, clock_, dataset,
                                         std::move(staging));
}

absl::StatusOr<UploadProgress> DatasetManager::GetUpload(
    absl::string_view name, absl::string_view request_id) const {
  ATTUNE_RETURN_IF_ERROR(ValidateName("dataset", name));
  UploadProgress progress;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_RETURN_IF_ERROR(transaction.datasets().Get(name).status());
        ATTUNE_ASSIGN_OR_RETURN(
            progress, FindUpload(transaction, request_id, UploadTarget(name)));
        return absl::OkStatus();
      }));
  return progress;
}

absl::StatusOr<DatasetView> DatasetManager::Seal(absl::string_view name,
                                                 const RequestKey& key) {
  return Validate(
      name, key,
      [&](StateTransaction& transaction, Dataset& dataset) -> absl::Status {
        if (dataset.state != DatasetState::kOpen) {
          return Error(
              absl::StatusCode::kFailedPrecondition, "DATASET_SEALED",
              absl::StrCat("dataset '", name, "' has been sealed before"));
        }
        // What was not committed by now never will be.
        return transaction.uploads().DeleteOfTarget(UploadTarget(name));
      });
}

absl::StatusOr<DatasetView> DatasetManager::DropInvalid(absl::string_view name,
                                                        const RequestKey& key) {
  return Validate(
      name, key,
      [&](StateTransaction& transaction, Dataset& dataset) -> absl::Status {
        if (dataset.state != DatasetState::kInvalid) {
          return Error(absl::StatusCode::kFailedPrecondition,
                       "DATASET_NOT_INVALID",
                       absl::StrCat("dataset '", name,
                                    "' has no invalid examples to drop"));
        }
        std::vector<int64_t> ids;
        for (const storage::InvalidExample& example :
             dataset.invalid_examples) {
          ids.push_back(example.example);
        }
        ATTUNE_RETURN_IF_ERROR(
            transaction.datasets().DeleteExamples(name, ids));
        ATTUNE_ASSIGN_OR_RETURN(dataset, transaction.datasets().Get(name));
        dataset.invalid_examples.clear();
        dataset.invalid_example_count = 0;
        return absl::OkStatus();
      });
}

absl::StatusOr<DatasetView> DatasetManager::Validate(
    absl::string_view name, const RequestKey& key,
    absl::FunctionRef<absl::Status(StateTransaction&, Dataset&)> prepare) {
  ATTUNE_RETURN_IF_ERROR(ValidateName("name", name));
  DatasetView view;
  std::optional<Job> queued;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction)
                                          -> absl::Status {
    const absl::Time now = clock_.WallNow();
    ATTUNE_RETURN_IF_ERROR(
        ApplyOnce(transaction, key, now, [&]() -> absl::StatusOr<std::string> {
          ATTUNE_ASSIGN_OR_RETURN(Dataset dataset,
                                  transaction.datasets().Get(name));
          ATTUNE_RETURN_IF_ERROR(prepare(transaction, dataset));
          if (dataset.counts.total() == 0) return EmptyDataset(name);
          ATTUNE_RETURN_IF_ERROR(FillCandidates(transaction, dataset));
          dataset.state = DatasetState::kValidating;
          ATTUNE_RETURN_IF_ERROR(transaction.datasets().Update(dataset));
          queued.emplace();
          queued->id = NewId("validate");
          queued->spec = storage::ValidateSpec{.dataset = dataset.name};
          ATTUNE_RETURN_IF_ERROR(InsertQueued(transaction, *queued, now));
          return dataset.name;
        }).status());
    ATTUNE_ASSIGN_OR_RETURN(view, Read(transaction, name));
    return absl::OkStatus();
  }));
  if (queued.has_value()) signals_.Queued(queued->id);
  return view;
}

absl::StatusOr<DatasetView> DatasetManager::Get(absl::string_view name) const {
  ATTUNE_RETURN_IF_ERROR(ValidateName("name", name));
  DatasetView view;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(view, Read(transaction, name));
        return absl::OkStatus();
      }));
  return view;
}

absl::StatusOr<std::vector<DatasetView>> DatasetManager::List(
    absl::string_view after, int limit) const {
  std::vector<DatasetView> views;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(std::vector<Dataset> datasets,
                                transaction.datasets().List(after, limit));
        for (Dataset& dataset : datasets) {
          ATTUNE_ASSIGN_OR_RETURN(DatasetView view,
                                  Describe(transaction, std::move(dataset)));
          views.push_back(std::move(view));
        }
        return absl::OkStatus();
      }));
  return views;
}

absl::StatusOr<std::vector<storage::Example>> DatasetManager::ListExamples(
    absl::string_view name, int64_t after_id, int limit) const {
  ATTUNE_RETURN_IF_ERROR(ValidateName("dataset", name));
  std::vector<storage::Example> examples;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(examples, transaction.datasets().ListExamples(
                                              name, after_id, limit));
        return absl::OkStatus();
      }));
  return examples;
}

absl::Status DatasetManager::Delete(absl::string_view name,
                                    const RequestKey& key) {
  ATTUNE_RETURN_IF_ERROR(ValidateName("name", name));
  std::vector<JobMove> moves;
  ATTUNE_RETURN_IF_ERROR(state_.Write([&](StateTransaction& transaction)
                                          -> absl::Status {
    const absl::Time now = clock_.WallNow();
    return ApplyOnce(
               transaction, key, now,
               [&]() -> absl::StatusOr<std::string> {
                 ATTUNE_ASSIGN_OR_RETURN(std::optional<Job> validation,
                                         FindValidation(transaction, name));
                 if (validation.has_value() &&
                     (validation->state == JobState::kQueued ||
                      validation->state == JobState::kBackoff)) {
                   ATTUNE_RETURN_IF_ERROR(MoveJob(
                       transaction, *validation, JobState::kCancelled,
                       "Cancelled: the dataset is deleted", "", now, moves));
                 }
                 ATTUNE_ASSIGN_OR_RETURN(
                     const std::vector<std::string> users,
                     transaction.jobs().UnfinishedUsingDataset(name));
                 if (!users.empty()) {
                   return Error(
                       absl::StatusCode::kFailedPrecondition, "DATASET_IN_USE",
                       absl::StrCat("dataset '", name, "' is in use by ",
                                    absl::StrJoin(users, ", "),
                                    ": cancel them or wait for their end"));
                 }
                 ATTUNE_RETURN_IF_ERROR(transaction.datasets().Delete(name));
                 ATTUNE_RETURN_IF_ERROR(
                     transaction.uploads().DeleteOfTarget(UploadTarget(name)));
                 return std::string(name);
               })
        .status();
  }));
  signals_.Moved(moves);
  if (on_delete_) on_delete_();
  return absl::OkStatus();
}

absl::StatusOr<DatasetView> DatasetManager::Read(StateTransaction& transaction,
                                                 absl::string_view name) const {
  ATTUNE_ASSIGN_OR_RETURN(Dataset dataset, transaction.datasets().Get(name));
  return Describe(transaction, std::move(dataset));
}

absl::StatusOr<DatasetView> DatasetManager::Describe(
    StateTransaction& transaction, Dataset dataset) const {
  DatasetView view;
  view.dataset = std::move(dataset);
  if (view.dataset.state == DatasetState::kInvalid) {
    view.status_message = view.dataset.invalid_example_count == 0 &&
                                  !view.dataset.invalid_examples.empty()
                              ? view.dataset.invalid_examples.front().reason
                              : absl::StrCat(view.dataset.invalid_example_count,
                                             " examples cannot be decoded");
  }
  if (view.dataset.state != DatasetState::kValidating) return view;
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<Job> validation,
                          FindValidation(transaction, view.dataset.name));
  if (!validation.has_value()) return view;
  if (const std::optional<Lease> lease = leases_.OfJob(validation->id)) {
    view.status_message = lease->total_steps > 0
                              ? absl::StrCat("decoding, ", lease->step, " of ",
                                             lease->total_steps)
                              : "decoding";
  } else if (!workers_.HasWorker(WorkerRole::kTrain)) {
    view.status_message = "no worker";
  } else {
    ATTUNE_ASSIGN_OR_RETURN(
        const int64_t before,
        transaction.jobs().CountQueuedBefore(validation->sequence));
    view.status_message = absl::StrCat("position ", before + 1);
  }
  return view;
}

}  // namespace attune::core
