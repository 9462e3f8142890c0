// Models, versions and tensors between storage's records and attune.v1.

#ifndef ATTUNE_SERVER_SERVICES_MODEL_CODEC_H_
#define ATTUNE_SERVER_SERVICES_MODEL_CODEC_H_

#include "attune/v1/model_service.pb.h"
#include "attune/v1/types.pb.h"
#include "attune/v1/worker_service.pb.h"
#include "server/core/models/model_registry.h"
#include "storage/records.h"

namespace attune::services {

v1::ClipConfig ToProto(const storage::ClipConfig& config);
v1::TensorManifest ToProto(const storage::TensorManifest& manifest);
v1::Model ToProto(const storage::Model& model);
v1::Version ToProto(const core::VersionView& view);

// What a worker needs to load a version.
v1::VersionContent ToVersionContent(const storage::Version& version,
                                    const storage::TensorManifest& manifest);

// Not validated: see core::ValidateManifest. An unknown data type becomes one
// that it refuses.
storage::TensorManifest FromProto(const v1::TensorManifest& manifest);

}  // namespace attune::services

#endif  // ATTUNE_SERVER_SERVICES_MODEL_CODEC_H_
