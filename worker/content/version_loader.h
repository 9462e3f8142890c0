// Versions out of the server's blobs.

#ifndef ATTUNE_WORKER_CONTENT_VERSION_LOADER_H_
#define ATTUNE_WORKER_CONTENT_VERSION_LOADER_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/types.pb.h"
#include "attune/v1/worker_service.pb.h"
#include "common/safetensors/clip_layout.h"
#include "worker/model/clip.h"
#include "worker/transport/server_connection.h"

namespace attune::content {

// Blob digest → the tensor that was made of it.
using TensorsByDigest = std::map<std::string, at::Tensor>;

struct LoadedVersion {
  ClipConfig config;
  // fp32, on the device.
  model::Tensors tensors;
  TensorsByDigest by_digest;
};

ClipConfig FromProto(const v1::ClipConfig& config);

// Fetches the tensors of a manifest as they are stored, on the CPU.
// INVALID_ARGUMENT (reason INVALID_TENSOR) for one whose blob does not fit its
// entry; errors of GetBlobs.
absl::StatusOr<model::Tensors> FetchTensors(
    transport::ServerConnection& connection, const v1::TensorManifest& manifest,
    TensorsByDigest* by_digest = nullptr);

// Fetches a version and checks that it has the tensors of its config. Tensors
// whose blobs are in `known` are shared instead: versions of one job have most
// in common.
// INVALID_ARGUMENT (reason INVALID_CLIP) when config and tensors do not
// agree; errors of FetchTensors; RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
absl::StatusOr<LoadedVersion> LoadVersion(
    transport::ServerConnection& connection, const v1::VersionContent& content,
    const at::Device& device, const TensorsByDigest& known = {});

}  // namespace attune::content

#endif  // ATTUNE_WORKER_CONTENT_VERSION_LOADER_H_
