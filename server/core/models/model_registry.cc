#include "server/core/models/model_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/error.h"
#include "common/names.h"
#include "common/safetensors/clip_layout.h"
#include "common/status_macros.h"
#include "server/core/models/linear_head.h"
#include "server/core/models/selector.h"
#include "server/core/models/version.h"

namespace attune::core {
namespace {

// As which UploadStaging knows the imports of a model.
std::string UploadTarget(absl::string_view model) {
  return absl::StrCat("model/", model);
}

VersionView Describe(storage::Version version, const storage::Model& model) {
  VersionView view;
  for (const auto& [alias, number] : model.aliases) {
    if (number == version.number) view.aliases.push_back(alias);
  }
  view.version = std::move(version);
  return view;
}

// A head that every inference call would refuse is refused here.
absl::Status CheckHead(const storage::TensorManifest& manifest,
                       const storage::BlobStore& blobs) {
  const absl::Status status = ReadLinearHead(manifest, blobs).status();
  if (ErrorReason(status) != "INVALID_HEAD") return status;
  return Error(absl::StatusCode::kInvalidArgument, "INVALID_HEAD",
               status.message());
}

absl::Status CheckBounds(const storage::Version& version) {
  if (!version.broken_bounds.has_value() || version.broken_bounds->empty()) {
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kFailedPrecondition, "BOUND_BROKEN",
               absl::StrCat("version '", VersionName(version),
                            "' breaks a bound of its job's guard: ",
                            absl::StrJoin(*version.broken_bounds, "; "),
                            ". Set force (--force) to name it all the same"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelImport>> ModelRegistry::BeginImport(
    absl::string_view model, absl::string_view request_id,
    int64_t offset) const {
  ATTUNE_RETURN_IF_ERROR(ValidateName("header.model", model));
  ATTUNE_RETURN_IF_ERROR(blobs_.CheckRoom());
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<UploadStaging> staging,
                          UploadStaging::Begin(state_, clock_, request_id,
                                               UploadTarget(model), offset));
  return ModelImport::Begin(blobs_, std::move(staging));
}

absl::StatusOr<UploadProgress> ModelRegistry::GetImport(
    absl::string_view model, absl::string_view request_id) const {
  ATTUNE_RETURN_IF_ERROR(ValidateName("model", model));
  UploadProgress progress;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](storage::StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            progress, FindUpload(transaction, request_id, UploadTarget(model)));
        return absl::OkStatus();
      }));
  return progress;
}

absl::StatusOr<VersionView> ModelRegistry::CommitImport(
    absl::string_view model, ModelImport& import, int64_t size_bytes,
    absl::string_view sha256, const RequestKey& key) {
  ATTUNE_ASSIGN_OR_RETURN(const ModelImport::Result content,
                          import.Finish(size_bytes, sha256));
  std::vector<std::string> digests;
  for (const storage::TensorEntry& tensor : content.manifest) {
    digests.push_back(tensor.blob_digest);
  }
  // The grace time of blobs is shorter than a very slow upload.
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> missing,
                          blobs_.FindMissing(digests));
  if (!missing.empty()) {
    return Error(absl::StatusCode::kAborted, "UPLOAD_TOO_SLOW",
                 "the upload took so long that its first tensors were "
                 "collected: send it again");
  }
  ATTUNE_RETURN_IF_ERROR(CheckHead(content.manifest, blobs_));
  VersionView view;
  ATTUNE_RETURN_IF_ERROR(
      state_.Write([&](storage::StateTransaction& transaction) -> absl::Status {
        bool added = false;
        const auto add = [&]() -> absl::StatusOr<std::string> {
          added = true;
          ATTUNE_RETURN_IF_ERROR(import.staging().Remove(transaction));
          storage::Version version;
          version.model = std::string(model);
          version.source = storage::VersionSource::kImported;
          version.create_time = clock_.WallNow();
          version.config = content.config;
          ATTUNE_ASSIGN_OR_RETURN(
              version, AddVersion(transaction, std::move(version),
                                  content.manifest, /*move_latest=*/true));
          return import.staging().Record(absl::StrCat(version.number));
        };
        ATTUNE_ASSIGN_OR_RETURN(
            const std::string record,
            ApplyOnce(transaction, key, clock_.WallNow(), add));
        if (!added) {
          ATTUNE_RETURN_IF_ERROR(import.staging().RemoveRepeated(transaction));
        }
        ATTUNE_ASSIGN_OR_RETURN(
            storage::Version version,
            ResolveSelector(transaction, "version",
                            absl::StrCat(model, ":", ResultOfRecord(record))));
        ATTUNE_ASSIGN_OR_RETURN(const storage::Model stored,
                                transaction.models().Get(model));
        view = Describe(std::move(version), stored);
        return absl::OkStatus();
      }));
  return view;
}

absl::StatusOr<storage::Model> ModelRegistry::GetModel(
    absl::string_view name) const {
  absl::StatusOr<storage::Model> model;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](storage::StateTransaction& transaction) {
        model = transaction.models().Get(name);
        return model.status();
      }));
  return model;
}

absl::StatusOr<std::vector<storage::Model>> ModelRegistry::ListModels(
    absl::string_view after, int limit) const {
  absl::StatusOr<std::vector<storage::Model>> models;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](storage::StateTransaction& transaction) {
        models = transaction.models().List(after, limit);
        return models.status();
      }));
  return models;
}

absl::StatusOr<std::vector<VersionView>> ModelRegistry::ListVersions(
    absl::string_view model, int32_t before, int limit) const {
  std::vector<VersionView> views;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](storage::StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(const storage::Model stored,
                                transaction.models().Get(model));
        ATTUNE_ASSIGN_OR_RETURN(
            std::vector<storage::Version> versions,
            transaction.models().ListVersions(model, before, limit));
        for (storage::Version& version : versions) {
          views.push_back(Describe(std::move(version), stored));
        }
        return absl::OkStatus();
      }));
  return views;
}

absl::StatusOr<VersionView> ModelRegistry::GetVersion(
    absl::string_view selector) const {
  VersionView view;
  ATTUNE_RETURN_IF_ERROR(
      state_.Read([&](storage::StateTransaction& transaction) -> absl::Status {
        ATTUNE_ASSIGN_OR_RETURN(
            storage::Version version,
            ResolveSelector(transaction, "version", selector));
        ATTUNE_ASSIGN_OR_RETURN(const storage::Model model,
                                transaction.models().Get(version.model));
        view = Describe(std::move(version), model);
        return absl::OkStatus();
      }));
  return view;
}

absl::StatusOr<std::unique_ptr<ModelRegistry::Export>>
ModelRegistry::BeginExport(absl::string_view selector) const {
  std::unique_ptr<Export> result(new Export(blobs_));
  storage::ClipConfig config;
  ATTUNE_RETURN_IF_ERROR(state_.Read([&](storage::StateTransaction& transaction)
                                         -> absl::Status {
    ATTUNE_ASSIGN_OR_RETURN(const storage::Version version,
                            ResolveSelector(transaction, "version", selector));
    config = version.config;
    ATTUNE_ASSIGN_OR_RETURN(result->manifest_,
                            transaction.models().GetManifest(version.digest));
    return absl::OkStatus();
  }));
  std::vector<safetensors::TensorInfo> tensors;
  for (const storage::TensorEntry& entry : result->manifest_) {
    tensors.push_back({.name = entry.name,
                       .data_type = entry.data_type,
                       .shape = entry.shape});
  }
  result->buffer_ = safetensors::WriteHeader(tensors, ClipMetadata(config));
  return result;
}

absl::StatusOr<std::string> ModelRegistry::Export::Next(size_t limit) {
  std::string piece;
  // Small tensors share a piece.
  while (piece.size() < limit) {
    if (sent_ == buffer_.size()) {
      if (tensor_ == nullptr) {
        if (next_tensor_ == manifest_.size()) break;
        tensor_ = blobs_.NewReader(manifest_[next_tensor_++].blob_digest);
      }
      absl::StatusOr<std::string> bytes = tensor_->Next();
      if (absl::IsNotFound(bytes.status())) {
        return Error(absl::StatusCode::kDataLoss, "BLOB_MISSING",
                     absl::StrCat("the bytes of tensor '",
                                  manifest_[next_tensor_ - 1].name,
                                  "' are not there any more"));
      }
      ATTUNE_RETURN_IF_ERROR(bytes.status());
      buffer_ = *std::move(bytes);
      sent_ = 0;
      if (buffer_.empty()) tensor_ = nullptr;
    }
    const size_t taken = std::min(limit - piece.size(), buffer_.size() - sent_);
    piece.append(buffer_, sent_, taken);
    sent_ += taken;
  }
  return piece;
}

absl::StatusOr<storage::Model> ModelRegistry::SetAlias(absl::string_view model,
                                                       absl::string_view alias,
                                                       int32_t number,
                                                       bool force,
                                                       const RequestKey& key) {
  ATTUNE_RETURN_IF_ERROR(ValidateName("alias", alias));
  if (alias == kLatestAlias) {
    return InvalidField("alias",
                        "'latest' is the server's own: it names the "
                        "version that was made last");
  }
  if (number < 0) return InvalidField("version", "is negative");
  absl::StatusOr<storage::Model> result;
  ATTUNE_RETURN_IF_ERROR(
      state_.Write([&](storage::StateTransaction& transaction) -> absl::Status {
        const auto set = [&]() -> absl::StatusOr<std::string> {
          ATTUNE_RETURN_IF_ERROR(transaction.models().Get(model).status());
          if (number > 0 && !force) {
            ATTUNE_ASSIGN_OR_RETURN(
                const storage::Version version,
                transaction.models().GetVersion(model, number));
            ATTUNE_RETURN_IF_ERROR(CheckBounds(version));
          }
          ATTUNE_RETURN_IF_ERROR(
              transaction.models().SetAlias(model, alias, number));
          return std::string(model);
        };
        ATTUNE_RETURN_IF_ERROR(
            ApplyOnce(transaction, key, clock_.WallNow(), set).status());
        result = transaction.models().Get(model);
        return result.status();
      }));
  return result;
}

absl::Status ModelRegistry::Delete(absl::string_view name,
                                   const RequestKey& key) {
  ATTUNE_RETURN_IF_ERROR(
      state_.Write([&](storage::StateTransaction& transaction) -> absl::Status {
        const auto remove = [&]() -> absl::StatusOr<std::string> {
          ATTUNE_RETURN_IF_ERROR(transaction.models().Get(name).status());
          ATTUNE_ASSIGN_OR_RETURN(
              const std::vector<std::string> jobs,
              transaction.jobs().UnfinishedUsingModel(name));
          if (!jobs.empty()) {
            return Error(absl::StatusCode::kFailedPrecondition, "MODEL_IN_USE",
                         absl::StrCat("model '", name, "' is used by ",
                                      absl::StrJoin(jobs, ", "),
                                      ": wait for it or cancel it first"));
          }
          ATTUNE_RETURN_IF_ERROR(transaction.models().Delete(name));
          return std::string(name);
        };
        return ApplyOnce(transaction, key, clock_.WallNow(), remove).status();
      }));
  if (on_delete_) on_delete_();
  return absl::OkStatus();
}

}  // namespace attune::core
