#ifndef ATTUNE_WORKER_CONTENT_TENSOR_UPLOAD_H_
#define ATTUNE_WORKER_CONTENT_TENSOR_UPLOAD_H_

#include <string>

#include "absl/status/statusor.h"
#include "attune/v1/types.pb.h"
#include "worker/model/clip.h"
#include "worker/transport/server_connection.h"

namespace attune::content {

// Stores tensors, of any device, as blobs and returns the manifest that names
// them, sorted by name. Only what the server lacks is sent. Tensors named in
// `types` are stored in the type that they have there, the others in their
// own. Errors of PutMissingBlobs; RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
absl::StatusOr<v1::TensorManifest> UploadTensors(
    transport::ServerConnection& connection, const std::string& lease_token,
    const model::Tensors& tensors, const v1::TensorManifest& types = {});

}  // namespace attune::content

#endif  // ATTUNE_WORKER_CONTENT_TENSOR_UPLOAD_H_
