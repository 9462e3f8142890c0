#ifndef ATTUNE_SERVER_CORE_MODELS_MODEL_REGISTRY_H_
#define ATTUNE_SERVER_CORE_MODELS_MODEL_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "server/core/idempotency.h"
#include "server/core/models/model_import.h"
#include "storage/blob_store.h"
#include "storage/state_store.h"

namespace attune::core {

// A version and the aliases that point to it now, sorted.
struct VersionView {
  storage::Version version;
  std::vector<std::string> aliases;
};

// Models, their versions and aliases. Thread-safe; blocks on the disk.
class ModelRegistry {
 public:
  // The arguments outlive the registry and the imports and exports that it
  // begins. `on_delete` is called after a deletion: blobs may have become
  // garbage.
  ModelRegistry(storage::StateStore& state, storage::BlobStore& blobs,
                const Clock& clock, std::function<void()> on_delete)
      : state_(state),
        blobs_(blobs),
        clock_(clock),
        on_delete_(std::move(on_delete)) {}

  // An import's body, to be filled and then given to CommitImport; that of
  // import `request_id` goes on at `offset` of the file. INVALID_ARGUMENT for a
  // bad name; RESOURCE_EXHAUSTED, reason LOW_DISK_SPACE; the errors of
  // UploadStaging::Begin and ModelImport::Begin.
  absl::StatusOr<std::unique_ptr<ModelImport>> BeginImport(
      absl::string_view model, absl::string_view request_id = "",
      int64_t offset = 0) const;
  // What is stored of an import; the result of a committed one is its
  // version's number. The errors of FindUpload.
  absl::StatusOr<UploadProgress> GetImport(absl::string_view model,
                                           absl::string_view request_id) const;
  // Makes the next version of `model` out of the complete file and moves
  // "latest" to it. INVALID_ARGUMENT, reason INVALID_HEAD, for a linear head
  // that could not be served; the errors of ModelImport::Finish and of
  // ApplyOnce.
  absl::StatusOr<VersionView> CommitImport(absl::string_view model,
                                           ModelImport& import,
                                           int64_t size_bytes,
                                           absl::string_view sha256,
                                           const RequestKey& key);

  // NOT_FOUND, also of the calls below.
  absl::StatusOr<storage::Model> GetModel(absl::string_view name) const;
  // By name, after `after`.
  absl::StatusOr<std::vector<storage::Model>> ListModels(
      absl::string_view after, int limit) const;
  // Newest first, numbers below `before` (0: all).
  absl::StatusOr<std::vector<VersionView>> ListVersions(absl::string_view model,
                                                        int32_t before,
                                                        int limit) const;
  absl::StatusOr<VersionView> GetVersion(absl::string_view selector) const;

  // The safetensors file of a version, in pieces; importing it gives a version
  // with the same digest. DATA_LOSS when a blob is damaged or missing.
  class Export {
   public:
    // The next piece of at most `limit` bytes; "" at the end.
    absl::StatusOr<std::string> Next(size_t limit);

   private:
    friend class ModelRegistry;
    explicit Export(const storage::BlobStore& blobs) : blobs_(blobs) {}

    const storage::BlobStore& blobs_;
    storage::TensorManifest manifest_;
    size_t next_tensor_ = 0;
    std::unique_ptr<storage::BlobReader> tensor_;  // that is being read
    std::string buffer_;  // a piece of the header or of a tensor
    size_t sent_ = 0;     // of buffer_
  };
  absl::StatusOr<std::unique_ptr<Export>> BeginExport(
      absl::string_view selector) const;

  // Names a version, or moves the name; number 0 removes it.
  // INVALID_ARGUMENT for "latest" and bad names; FAILED_PRECONDITION, reason
  // BOUND_BROKEN, for a version that breaks a bound, unless forced; the errors
  // of ApplyOnce.
  absl::StatusOr<storage::Model> SetAlias(absl::string_view model,
                                          absl::string_view alias,
                                          int32_t number, bool force,
                                          const RequestKey& key);

  // With all its versions. FAILED_PRECONDITION, reason MODEL_IN_USE, while a
  // job that has not ended uses it; the errors of ApplyOnce.
  absl::Status Delete(absl::string_view name, const RequestKey& key);

 private:
  storage::StateStore& state_;
  storage::BlobStore& blobs_;
  const Clock& clock_;
  std::function<void()> on_delete_;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_MODEL_REGISTRY_H_
