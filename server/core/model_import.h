#ifndef ATTUNE_SERVER_CORE_MODEL_IMPORT_H_
#define ATTUNE_SERVER_CORE_MODEL_IMPORT_H_

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
// tensors as blobs, each checked on the way. Holds the header, and of the
// tensors at most a few MiB. What an import that fails has stored is garbage
// that is collected later. Not thread-safe; blocks on the disk.
class ModelImport {
 public:
  struct Result {
    storage::ClipConfig config;
    storage::TensorManifest manifest;
  };

  // `blobs` outlives the import.
  explicit ModelImport(storage::BlobStore& blobs) : blobs_(blobs) {}

  // The next bytes of the file. INVALID_ARGUMENT with the reasons of
  // ParseHeader and ReadClipConfig (the message names the tensor or points to
  // attune-convert), NON_FINITE_WEIGHTS naming the tensor, INVALID_SAFETENSORS
  // for bytes after the end; the errors of the blob store. Unusable after an
  // error.
  absl::Status Append(absl::string_view bytes);

  // The file is complete. DATA_LOSS, reason DIGEST_MISMATCH, when its size or
  // SHA-256 is another; INVALID_ARGUMENT, reason INVALID_SAFETENSORS, when the
  // file itself is cut. The blobs are durable when it returns. Call once.
  absl::StatusOr<Result> Finish(int64_t size_bytes, absl::string_view sha256);

 private:
  absl::Status AppendHeader(absl::string_view bytes, size_t* used);
  absl::Status AppendTensor(absl::string_view bytes);
  absl::Status BeginTensor();
  absl::Status EndTensor();
  absl::Status FlushSmall();
  const safetensors::TensorInfo& tensor() const {
    return header_->tensors[next_tensor_];
  }

  storage::BlobStore& blobs_;
  Sha256 file_hash_;
  int64_t size_bytes_ = 0;
  std::string head_;  // the file's first bytes, until the header is read
  std::optional<safetensors::Header> header_;
  Result result_;

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

#endif  // ATTUNE_SERVER_CORE_MODEL_IMPORT_H_
