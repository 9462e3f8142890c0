#ifndef ATTUNE_SERVER_CORE_MODELS_MODEL_IMPORT_H_
#define ATTUNE_SERVER_CORE_MODELS_MODEL_IMPORT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/digest.h"
#include "common/safetensors/safetensors.h"
#include "server/core/upload_staging.h"
#include "storage/blob_store.h"
#include "storage/records.h"

namespace attune::core {

// Finds values that are not finite in a tensor's bytes, which come in pieces.
class FiniteCheck {
 public:
  explicit FiniteCheck(storage::DataType type) : type_(type) {}
  // Whether all values so far are finite; integers always are. A value may be
  // split between pieces.
  bool Append(absl::string_view bytes);

 private:
  storage::DataType type_;
  std::string partial_;
};

// Reads one safetensors file in OpenAI's layout as it arrives, and stores its
// tensors as blobs, each checked on the way. What is stored is remembered, so
// that an import that was cut can go on at the end of a tensor. Holds the
// header, and of the tensors at most a few MiB. Not thread-safe; blocks on the
// disk.
class ModelImport {
 public:
  struct Result {
    storage::ClipConfig config;
    storage::TensorManifest manifest;
  };

  // Goes on after what `staging` has found. `blobs` outlives the import.
  // DATA_LOSS or NOT_FOUND when the header that was stored cannot be read.
  static absl::StatusOr<std::unique_ptr<ModelImport>> Begin(
      storage::BlobStore& blobs, std::unique_ptr<UploadStaging> staging);

  // The next bytes of the file. INVALID_ARGUMENT with the reasons of
  // ParseHeader and ReadClipConfig (the message names the tensor or points to
  // attune-convert), NON_FINITE_WEIGHTS naming the tensor, INVALID_SAFETENSORS
  // for bytes after the end; the errors of the blob store and of
  // UploadStaging::Add. Unusable after an error.
  absl::Status Append(absl::string_view bytes);

  // The stream was cut: remembers the whole tensors, for the next one. The
  // import may not be used any more.
  void Keep();

  // The file is complete. DATA_LOSS, reason DIGEST_MISMATCH, when its size or
  // SHA-256 is another; INVALID_ARGUMENT, reason INVALID_SAFETENSORS, when the
  // file itself is cut. The blobs are durable when it returns. Call once.
  absl::StatusOr<Result> Finish(int64_t size_bytes, absl::string_view sha256);

  UploadStaging& staging() { return *staging_; }

 private:
  ModelImport(storage::BlobStore& blobs, std::unique_ptr<UploadStaging> staging)
      : blobs_(blobs), staging_(std::move(staging)) {}

  absl::Status Resume(std::vector<storage::UploadPart> parts);
  absl::Status TakeHeader();
  // Stores the small tensors that wait, and remembers all whole ones.
  absl::Status Stage();
  absl::Status AppendHeader(absl::string_view bytes, size_t* used);
  absl::Status AppendTensor(absl::string_view bytes);
  absl::Status BeginTensor();
  absl::Status EndTensor();
  absl::Status FlushSmall();
  const safetensors::TensorInfo& tensor() const {
    return header_->tensors[next_tensor_];
  }

  storage::BlobStore& blobs_;
  const std::unique_ptr<UploadStaging> staging_;
  Sha256 file_hash_;
  int64_t size_bytes_ = 0;
  std::string head_;  // the file's first bytes, until the header is read
  std::optional<safetensors::Header> header_;
  Result result_;
  // What Stage has remembered, and where the last whole tensor ends.
  size_t staged_tensors_ = 0;
  int64_t staged_offset_ = 0;
  int64_t whole_offset_ = 0;
  std::string whole_hash_state_;

  // The tensor that arrives.
  size_t next_tensor_ = 0;
  int64_t tensor_done_ = 0;
  std::optional<FiniteCheck> finite_;
  std::unique_ptr<storage::BlobWriter> writer_;  // a large one
  std::string small_;                            // a small one
  // Small ones that wait for a common transaction, with their digests.
  std::vector<std::pair<std::string, std::string>> small_blobs_;
  int64_t small_bytes_ = 0;
};

}  // namespace attune::core

#endif  // ATTUNE_SERVER_CORE_MODELS_MODEL_IMPORT_H_
