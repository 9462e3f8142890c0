#include "worker/content/tensor_upload.h"

#include <map>
#include <utility>
#include <vector>

#include "common/digest.h"
#include "common/status_macros.h"
#include "worker/model/safetensors_io.h"
#include "worker/model/torch_status.h"
#include "worker/transport/blob_transfer.h"

namespace attune::content {
namespace {

at::ScalarType ScalarType(v1::DataType type, at::ScalarType otherwise) {
  switch (type) {
    case v1::DATA_TYPE_FLOAT32:
      return at::kFloat;
    case v1::DATA_TYPE_FLOAT16:
      return at::kHalf;
    case v1::DATA_TYPE_BFLOAT16:
      return at::kBFloat16;
    default:
      return otherwise;
  }
}

}  // namespace

absl::StatusOr<v1::TensorManifest> UploadTensors(
    transport::ServerConnection& connection, const std::string& lease_token,
    const model::Tensors& tensors, const v1::TensorManifest& types) {
  std::map<std::string, v1::DataType> type_of;
  for (const v1::TensorEntry& entry : types.tensors()) {
    type_of[entry.name()] = entry.data_type();
  }
  v1::TensorManifest manifest;
  // Holds the bytes that the blobs point to.
  std::vector<at::Tensor> stored;
  std::vector<transport::Blob> blobs;
  ATTUNE_RETURN_IF_ERROR(model::CatchTorchErrors([&] {
    for (const auto& [name, tensor] : tensors) {
      stored.push_back(
          tensor.detach()
              .to(at::kCPU, ScalarType(type_of[name], tensor.scalar_type()))
              .contiguous());
      const at::Tensor& bytes = stored.back();
      const absl::string_view view(static_cast<const char*>(bytes.data_ptr()),
                                   bytes.nbytes());
      const safetensors::TensorInfo info = model::DescribeTensor(name, bytes);
      v1::TensorEntry* entry = manifest.add_tensors();
      entry->set_name(name);
      entry->set_data_type(static_cast<v1::DataType>(info.data_type));
      entry->mutable_shape()->Add(info.shape.begin(), info.shape.end());
      entry->set_blob_digest(Sha256Hex(view));
      entry->set_size_bytes(static_cast<int64_t>(view.size()));
      blobs.push_back({entry->blob_digest(), view});
    }
    return absl::OkStatus();
  }));
  ATTUNE_RETURN_IF_ERROR(
      transport::PutMissingBlobs(connection, lease_token, blobs).status());
  return manifest;
}

}  // namespace attune::content
